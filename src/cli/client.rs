//! `entrada client list`, `block`, `unblock` and `new`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use clap::Subcommand;
use sha2::Digest;
use sha2::Sha256;
use url::Host;

use crate::adapters::system::SystemEntropy;
use crate::app::admin;
use crate::app::admin::Reply;
use crate::app::exit::Failure;
use crate::cli::say;
use crate::cli::server::Administration;
use crate::cli::server::Server;
use crate::cli::shown::printable;
use crate::cli::shown::scope;
use crate::cli::shown::text;
use crate::cli::shown::utc;
use crate::domain::block::Blocked;
use crate::flows::block::ClientSummary;
use crate::flows::block::Clients;
use crate::flows::block::NotChanged;
use crate::flows::block::Target;
use crate::ports::clock::Entropy;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::redirect_uri::VENDOR_SCHEMES;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the clients that people have signed in with, those of the configuration, and what is blocked.
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Keep clients out of sign-ins, refreshes and MCP servers: here at once, on other replicas within 10 seconds.
    /// Their grants stay: `grant revoke` ends them. One that registers itself can come
    /// back under another name, or, if it has a secret, another id: its host keeps it out for good.
    Block {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        whom: Whom,
    },
    /// Let clients in again. Their grants go on where they were.
    Unblock {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        whom: Whom,
    },
    /// Make a client for the configuration: prints a [[client]] block to standard output and its secret, once,
    /// to standard error. Writes nothing.
    New(NewClient),
}

/// Which clients.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Whom {
    /// One client: its client_id, or the short form of it that `client list`, `grant list` and logs show.
    #[arg(allow_hyphen_values = true)]
    client: Option<String>,
    /// Every client whose codes go to this host. An application is named by its scheme, as in `cursor:`; programs on
    /// people's machines by localhost, 127.0.0.1 and [::1], each by itself.
    #[arg(long, value_name = "HOST", value_parser = redirect_host)]
    redirect_host: Option<String>,
    /// Every client whose metadata document lies at this host. Nothing is fetched from there any more.
    #[arg(long, value_name = "HOST", value_parser = document_host)]
    document_host: Option<String>,
}

/// What a new client is.
#[derive(Debug, Args)]
pub struct NewClient {
    /// What the consent page calls it.
    #[arg(long, value_parser = text)]
    name: String,
    /// Where its codes may go; once or more.
    #[arg(long = "redirect-uri", value_name = "URI", required = true, value_parser = redirect_uri)]
    redirect_uris: Vec<String>,
    /// A scope that it may have; once or more. Without any, all that a resource has.
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    scopes: Vec<String>,
    /// Without a secret: for a program on people's own machines, which cannot keep one.
    #[arg(long)]
    public: bool,
}

fn host(text: &str) -> Result<String, String> {
    let host = Host::parse(text).map(|host| host.to_string()).map_err(drop);
    // No address that could come has one of these.
    let comes = |host: &str| !host.contains('*') && !host.ends_with('.');
    let host = host.and_then(|host| if comes(&host) { Ok(host) } else { Err(()) });
    host.map_err(|()| {
        "this is not a host: write it as in app.example.com, without scheme, port and path".to_owned()
    })
}

/// Documents lie at hosts with a name.
fn document_host(text: &str) -> Result<String, String> {
    match Host::parse(text) {
        Ok(Host::Domain(_)) => host(text),
        _ => Err("documents lie at hosts with a name: write it as in app.example.com".to_owned()),
    }
}

fn redirect_host(text: &str) -> Result<String, String> {
    match text.strip_suffix(':') {
        Some("http" | "https") => Err("that is not a host: write it as in app.example.com".to_owned()),
        Some(scheme) if !scheme.is_empty() && !scheme.contains([':', '/']) => Ok(text.to_ascii_lowercase()),
        _ if VENDOR_SCHEMES.iter().any(|(scheme, ..)| *scheme == text) => {
            Err(format!("that is a scheme: write {text}:"))
        }
        _ => host(text),
    }
}

fn redirect_uri(text: &str) -> Result<String, String> {
    RedirectUri::parse(text).map(|uri| uri.to_string()).ok_or_else(|| {
        "it has to be https, http on localhost, 127.0.0.1 or [::1], or of a private-use scheme with a dot in it or of a known application, \
         in its normal form"
            .to_owned()
    })
}

pub async fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::List { server } => match server.ask(admin::Command::ListClients).await? {
            Reply::Clients(clients) => print(&clients),
            _ => Err(admin::another_version()),
        },
        Command::Block { server, whom } => {
            let administration = server.reach().await?;
            match administration.ask(admin::Command::Block(whom.target())).await? {
                Reply::Changed(what) => {
                    say(&format!("Blocked: {}.", words(&what)))?;
                    say_if_unused(&administration, &what).await
                }
                Reply::Unchanged(NotChanged::Already) => say("That is blocked already."),
                reply => Err(not_changed(&reply)),
            }
        }
        Command::Unblock { server, whom } => {
            match server.ask(admin::Command::Unblock(whom.target())).await? {
                Reply::Changed(what) => say(&format!("Let in again: {}.", words(&what))),
                reply => Err(not_changed(&reply)),
            }
        }
        Command::New(new) => new.print(),
    }
}

/// A short form may be mistyped, and nobody can tell but by who has signed in.
async fn say_if_unused(administration: &Administration, what: &Blocked) -> Result<(), Failure> {
    let Blocked::Client(blocked) = what else { return Ok(()) };
    let Reply::Clients(known) = administration.ask(admin::Command::ListClients).await? else {
        return Err(admin::another_version());
    };
    match known.clients.iter().any(|client| client.client == *blocked) {
        true => Ok(()),
        false => say("Nobody has signed in with it yet. If that is a surprise, see `entrada client list`."),
    }
}

fn words(what: &Blocked) -> String {
    match what {
        Blocked::Client(client) => format!("the client {client}"),
        Blocked::RedirectHost(host) => format!("every client at {host}"),
        Blocked::DocumentHost(host) => format!("every client whose metadata document lies at {host}"),
    }
}

fn not_changed(reply: &Reply) -> Failure {
    let why = match reply {
        Reply::Unchanged(NotChanged::NoSuchClient) => {
            "No client of this server has this id. `entrada client list` shows those that people have signed in with; the log names the others."
        }
        Reply::Unchanged(NotChanged::Already) => "That is not blocked. `entrada client list` shows what is.",
        Reply::Unchanged(NotChanged::TooMany) => {
            "There are as many blocks as there may be. `entrada client unblock` takes one away; `dcr.enabled = false` keeps out every client that you have not entered."
        }
        _ => return admin::another_version(),
    };
    Failure::Running(why.to_owned())
}

impl Whom {
    fn target(self) -> Target {
        match (self.client, self.redirect_host, self.document_host) {
            (_, Some(host), _) => Target::RedirectHost(host),
            (_, _, Some(host)) => Target::DocumentHost(host),
            (client, None, None) => Target::Client(client.unwrap_or_default()),
        }
    }
}

impl NewClient {
    /// The block goes where it can be appended to a file, the secret where only the one who asked reads it.
    fn print(self) -> Result<(), Failure> {
        // Longer than the short form of an id, so that it cannot be taken for one.
        let id = random::<16>();
        let secret = (!self.public).then(random::<32>);
        say(&self.block(&id, secret.as_deref()))?;
        if let Some(secret) = secret {
            eprintln!("The secret of {id}, which is shown only now: {secret}");
        }
        Ok(())
    }

    fn block(self, id: &str, secret: Option<&str>) -> String {
        let list = |items: Vec<String>| toml::Value::from(items).to_string();
        // It is appended to files, whose last line may not end.
        let mut lines = vec![
            String::new(),
            "[[client]]".to_owned(),
            format!("id = {}", toml::Value::from(id)),
            format!("name = {}", toml::Value::from(self.name)),
            format!("redirect_uris = {}", list(self.redirect_uris)),
        ];
        if !self.scopes.is_empty() {
            lines.push(format!("scopes = {}", list(self.scopes)));
        }
        if let Some(secret) = secret {
            let digest = Sha256::digest(secret);
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            lines.push(format!("secret_sha256 = {}", toml::Value::from(hex)));
        }
        lines.join("\n")
    }
}

/// `N` random bytes in base64url.
fn random<const N: usize>() -> String {
    let entropy: &dyn Entropy = &SystemEntropy::default();
    URL_SAFE_NO_PAD.encode(entropy.bytes::<N>())
}

fn print(clients: &Clients) -> Result<(), Failure> {
    say(&format!(
        "{:<16}  {:<10}  {:<7}  {:<20}  {:<20}  {:<32}  NAME",
        "CLIENT", "KIND", "BLOCKED", "FIRST USED", "LAST USED", "CODES WENT TO"
    ))?;
    for client in &clients.clients {
        say(&line(client))?;
    }
    if clients.unreadable > 0 {
        say(&format!("{} more cannot be read with this server's keys.", clients.unreadable))?;
    }
    if !clients.blocks.is_empty() {
        say("")?;
    }
    for block in &clients.blocks {
        say(&format!("Blocked since {}: {}.", utc(block.since.0), words(&block.what)))?;
    }
    Ok(())
}

fn line(client: &ClientSummary) -> String {
    let (kind, id) = match (&client.configured_id, &client.document) {
        (Some(id), _) => ("configured", format!(" ({id})")),
        (None, Some(address)) => ("published", format!(" ({address})")),
        (None, None) => ("registered", String::new()),
    };
    let blocked = if client.blocked { "yes" } else { "no" };
    let when = |at: Option<i64>| at.map_or_else(|| "never".to_owned(), utc);
    format!(
        "{:<16}  {kind:<10}  {blocked:<7}  {:<20}  {:<20}  {:<32}  {}{id}",
        client.client,
        when(client.first_used_at),
        when(client.last_used_at),
        client.redirect_hosts.join(" "),
        printable(&client.client_name),
    )
}
