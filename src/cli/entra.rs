//! `entrada entra apply`: the app registration, for who does not deploy by azd.

use clap::Args;
use clap::Subcommand;
use clap::ValueEnum;
use url::Url;
use uuid::Uuid;

use crate::adapters::entra_registration::AppRole;
use crate::adapters::entra_registration::SCOPE;
use crate::adapters::entra_registration::Trusted;
use crate::adapters::entra_registration::Wanted;
use crate::app::exit::Failure;
use crate::app::registration;
use crate::app::registration::Asker;
use crate::app::registration::Order;
use crate::cli::log;
use crate::cli::say;
use crate::cli::shown::printable;
use crate::cli::shown::text;
use crate::protocol::issuer::Issuer;
use crate::protocol::issuer::is_loopback;
use crate::protocol::metadata::path::CALLBACK;

/// What to do in Entra ID.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the app registration by which people sign in, or bring the one up to date that this command or infra/ has made.
    /// What others added to it stays, and a second run changes nothing. Prints the [upstream] section of the configuration to
    /// standard output, and to standard error what it did: + what was added, ~ what was changed, ! what it did not ask for.
    Apply(Box<Apply>),
}

/// What the registration is to have, and who asks for it.
#[derive(Debug, Args)]
pub struct Apply {
    /// Show what would be done, on standard output, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// The tenant that the registration is in: its id, a GUID.
    #[arg(long, value_name = "GUID", value_parser = guid)]
    tenant: String,
    /// The origin under which clients reach Entrada, as public_url in its configuration: people are sent back there from the
    /// sign-in. Where that is not known yet, leave it out, and give the command again once it is.
    #[arg(long, value_name = "ORIGIN", value_parser = public_url)]
    public_url: Option<String>,
    /// The key by which the registration is found again. It cannot be changed later.
    #[arg(long, value_name = "NAME", default_value = "entrada", value_parser = unique_name)]
    unique_name: String,
    /// What people read at consent. Unless set, a new registration is called Entrada and another keeps its name.
    #[arg(long, value_parser = text)]
    name: Option<String>,
    /// A tenant whose people may sign in, by GUID; once or more. Without any, only people of --tenant may.
    #[arg(long = "allowed-tenant", value_name = "GUID", value_parser = guid)]
    allowed_tenants: Vec<String>,
    /// An app role that people and groups can be given, for allowed_roles; once or more. With its name for people behind it:
    /// expenses.approver="Approver of expenses".
    #[arg(long = "app-role", value_name = "VALUE[=NAME]", value_parser = app_role)]
    app_roles: Vec<AppRole>,
    #[command(flatten)]
    proof: Proof,
    #[command(flatten)]
    access: Access,
}

/// By what Entrada proves who it is.
#[derive(Debug, Args)]
#[command(next_help_heading = "By what Entrada proves who it is, in place of a secret")]
struct Proof {
    /// The user-assigned managed identity that Entrada runs as: its client id.
    #[arg(long, value_name = "GUID", value_parser = guid, requires = "program_principal")]
    program_identity: Option<String>,
    /// The same identity's principal id, which its overview calls object id.
    #[arg(long, value_name = "GUID", value_parser = guid, requires = "program_identity")]
    program_principal: Option<String>,
    /// The cluster that Entrada runs in: the issuer of its service account tokens, byte for byte.
    #[arg(long, value_name = "URL", value_parser = issuer, requires = "kubernetes_subject", conflicts_with = "program_identity")]
    kubernetes_issuer: Option<String>,
    /// The service account there, as in system:serviceaccount:NAMESPACE:NAME. Case counts.
    #[arg(long, value_name = "SUBJECT", value_parser = text, requires = "kubernetes_issuer")]
    kubernetes_subject: Option<String>,
    /// The name of the federated credential, for deployments that share the registration. One that has the name is
    /// replaced. Unless set, it is managed-identity or kubernetes.
    #[arg(long, value_name = "NAME", value_parser = credential_name)]
    federated_credential: Option<String>,
}

/// Who asks Microsoft Graph, and where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who asks Microsoft Graph, and where")]
struct Access {
    /// By what right. Unless set: whoever is signed in to the Azure CLI, else to azd.
    #[arg(long, value_enum)]
    credential: Option<Credential>,
    /// The client id of a user-assigned managed identity that asks. Unless set, it is the machine's own.
    #[arg(long, value_name = "GUID", value_parser = guid)]
    managed_identity: Option<String>,
    /// The origin of the Microsoft sign-in, another one for a sovereign cloud.
    #[arg(long, value_name = "ORIGIN", default_value = AUTHORITY, value_parser = origin)]
    authority: String,
    /// The origin of Microsoft Graph, where it is not that of the cloud of --authority.
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    graph: Option<String>,
}

const AUTHORITY: &str = "https://login.microsoftonline.com";

/// Who is signed in where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Credential {
    /// Whoever is signed in to the Azure CLI
    AzureCli,
    /// Whoever is signed in to the Azure Developer CLI
    Azd,
    /// The machine's identity, or the one of --managed-identity
    ManagedIdentity,
}

fn guid(given: &str) -> Result<String, String> {
    let id =
        Uuid::try_parse(given).map_err(|_| "write a GUID, as in 11111111-2222-3333-4444-555555555555")?;
    Ok(id.to_string())
}

/// In its normal form, https or loopback: codes and tokens travel there.
fn origin(given: &str) -> Result<String, String> {
    let url = Url::parse(given).ok().filter(|_| Issuer::parse(given).is_some());
    let is_safe = |url: &Url| url.scheme() == "https" || url.scheme() == "http" && is_loopback(url);
    match url.filter(is_safe) {
        Some(_) => Ok(given.to_owned()),
        None => Err("write an origin: https, host and, unless it is the usual one, port, without a slash at the end; http is \
                     only for localhost, 127.0.0.1 and [::1]"
            .to_owned()),
    }
}

/// An origin that Entra takes for a redirect URI, and that is one host's.
fn public_url(given: &str) -> Result<String, String> {
    match given.contains('*') || given.contains("[::1]") {
        true => Err("a redirect URI names one host, and none by [::1]".to_owned()),
        false => origin(given),
    }
}

/// Part of addresses and of the identifier URI.
fn unique_name(given: &str) -> Result<String, String> {
    name(given, 120, "-._", "it has at most 120 letters, digits and - . _")
}

/// <https://learn.microsoft.com/graph/api/resources/federatedidentitycredential>.
fn credential_name(given: &str) -> Result<String, String> {
    const RULE: &str = "it has 3 to 120 letters, digits and - _, and begins with a letter or a digit";
    let begins_well = given.len() >= 3 && given.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins_well { name(given, 120, "-_", RULE) } else { Err(RULE.to_owned()) }
}

fn name(given: &str, longest: usize, marks: &str, rule: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
    match !given.is_empty() && given.len() <= longest && given.chars().all(fits) {
        true => Ok(given.to_owned()),
        false => Err(rule.to_owned()),
    }
}

/// As tokens have it: it is compared byte for byte.
fn issuer(given: &str) -> Result<String, String> {
    match Url::parse(given) {
        Ok(url) if url.scheme() == "https" && url.query().is_none() && url.fragment().is_none() => {
            Ok(given.to_owned())
        }
        _ => Err("write the https URL that the cluster's tokens have as iss".to_owned()),
    }
}

/// The value's rules are those of <https://learn.microsoft.com/graph/api/resources/approle>, but for the sign that ends it
/// here. A scope and an app role may not have the same.
fn app_role(given: &str) -> Result<AppRole, String> {
    let (value, display_name) = given.split_once('=').unwrap_or((given, given));
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
    if value.is_empty() || value.len() > 120 || value.starts_with('.') || !value.bytes().all(fits) {
        return Err(
            "a value has at most 120 letters, digits and marks, no spaces, and begins with no dot".to_owned()
        );
    }
    if value == SCOPE {
        return Err(format!("{SCOPE} is a scope of the registration: name the role otherwise"));
    }
    Ok(AppRole { value: value.to_owned(), display_name: text(display_name)? })
}

/// Carries it out.
pub async fn execute(Command::Apply(apply): Command) -> Result<(), Failure> {
    log::start(false);
    let order = apply.order()?;
    if apply.dry_run {
        return show(&order).await;
    }
    let mut changed = false;
    let client_id = registration::apply(&order, notice, |change| {
        changed = true;
        eprintln!("{}", printable(&change.to_string()));
        Ok(())
    })
    .await?;
    if !changed {
        eprintln!("The registration is as it has to be: nothing was written.");
    }
    if apply.public_url.is_none() {
        eprintln!("Nobody can sign in until this is given --public-url as well.");
    }
    say(&apply.section(&client_id))
}

/// Beside what is done, and not in the configuration.
fn notice(line: &str) {
    eprintln!("{}", printable(line));
}

async fn show(order: &Order) -> Result<(), Failure> {
    let changes = registration::differences(order, notice).await?;
    if changes.is_empty() {
        return say("The registration is as it has to be.");
    }
    changes.iter().try_for_each(|change| say(&printable(&change.to_string())))
}

impl Apply {
    fn order(&self) -> Result<Order, Failure> {
        let trusted = self.proof.trusted();
        if trusted.is_none() && self.proof.federated_credential.is_some() {
            let words = "--federated-credential names one of --program-identity or --kubernetes-issuer: give these too.";
            return Err(Failure::Usage(words.to_owned()));
        }
        let Access { credential, managed_identity, authority, graph } = &self.access;
        let asker = match credential {
            Some(Credential::ManagedIdentity) => {
                Asker::ManagedIdentity { client_id: managed_identity.clone() }
            }
            _ if managed_identity.is_some() => {
                let words = "--managed-identity is for --credential managed-identity. The identity that Entrada runs as is \
                     named by --program-identity.";
                return Err(Failure::Usage(words.to_owned()));
            }
            Some(Credential::AzureCli) => Asker::AzureCli,
            Some(Credential::Azd) => Asker::AzureDeveloperCli,
            None => Asker::DeveloperTools,
        };
        let url = |origin: &str| Url::parse(origin).map_err(|_| Failure::Usage("This is no URL.".to_owned()));
        Ok(Order {
            wanted: self.wanted(trusted),
            tenant: self.tenant.clone(),
            authority: url(authority)?,
            graph: graph.as_deref().map(url).transpose()?,
            asker,
        })
    }

    fn wanted(&self, trusted: Option<Trusted>) -> Wanted {
        Wanted {
            unique_name: self.unique_name.clone(),
            display_name: self.name.clone(),
            multitenant: !self.allowed_tenants.is_empty(),
            redirect_uri: self.public_url.as_ref().map(|url| format!("{url}{CALLBACK}")),
            app_roles: self.app_roles.clone(),
            trusted,
        }
    }

    /// The configuration for this registration. The scope is named by the client id: of an app that asks for a token for
    /// itself Entra takes no other name (AADSTS90009).
    fn section(&self, client_id: &str) -> String {
        let quoted = |value: &str| toml::Value::from(value).to_string();
        // It is appended to files, whose last line may not end.
        let mut lines = vec![String::new(), "[upstream]".to_owned()];
        if self.allowed_tenants.is_empty() {
            lines.push(format!("tenant = {}", quoted(&self.tenant)));
        } else {
            lines.push("tenant = \"organizations\"".to_owned());
            lines.push(format!("allowed_tenants = {}", toml::Value::from(self.allowed_tenants.clone())));
        }
        for (key, value, default) in [
            ("authority", Some(&self.access.authority), AUTHORITY),
            ("graph", self.access.graph.as_ref(), ""),
        ] {
            let value = value.filter(|value| *value != default);
            lines.extend(value.map(|value| format!("{key} = {}", quoted(value))));
        }
        lines.push(format!("client_id = {}", quoted(client_id)));
        lines.push(format!("scopes = [{}]", quoted(&format!("{client_id}/{SCOPE}"))));
        lines.extend(self.proof.lines());
        lines.join("\n")
    }
}

impl Proof {
    fn trusted(&self) -> Option<Trusted> {
        let (name, description, issuer, subject) = match (&self.program_principal, &self.kubernetes_subject) {
            (Some(principal), _) => {
                ("managed-identity", "The managed identity of the program", None, principal.clone())
            }
            (None, Some(subject)) => {
                ("kubernetes", "The program's pods", self.kubernetes_issuer.clone(), subject.clone())
            }
            (None, None) => return None,
        };
        let name = self.federated_credential.clone().unwrap_or_else(|| name.to_owned());
        Some(Trusted { name, description, issuer, subject })
    }

    fn lines(&self) -> Vec<String> {
        match (&self.program_identity, &self.kubernetes_issuer) {
            (Some(identity), _) => vec![
                "credential = \"managed-identity\"".to_owned(),
                format!("managed_identity = {}", toml::Value::from(identity.as_str())),
            ],
            (None, Some(_)) => vec!["credential = \"workload-identity\"".to_owned()],
            (None, None) => {
                vec!["# And a client secret, in the variable ENTRADA_UPSTREAM__CLIENT_SECRET.".to_owned()]
            }
        }
    }
}
