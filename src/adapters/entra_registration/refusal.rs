//! What Microsoft Graph says when it does not do what it was asked, in words for the operator.

use std::time::Duration;

use serde::Deserialize;

use super::ApplyError;

/// What an answer that is no success means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// What is asked for, or hung something on, is not there, or not yet where it was asked for.
    Absent(String),
    /// Something else has what may be there once.
    Conflict(String),
    /// It was not carried out, and the next request may be.
    Again(String),
    /// It may have been carried out, or the next one may be.
    Unsure(String),
    /// None will, until somebody has changed something.
    Wrong(String),
}

pub(super) const NO_GRAPH: &str =
    "What answers is no Microsoft Graph. See that --graph and --authority are origins of the same cloud.";

const NO_TOKEN: &str = "Microsoft Graph does not accept the token (401). Sign in anew, as with `az login --tenant`, and see that \
    --tenant, --authority and --graph are those of the cloud that you are signed in to.";

const NO_ROLE: &str = "Microsoft Graph refuses the one who asks (403). A person needs the role Application \
    Developer in Entra ID: to register an application where members may not, and for the service principal of one that is \
    theirs. To change a registration a person has to own it, or needs the role Cloud \
    Application Administrator; so too for one that is for several tenants. An identity needs the application permission \
    Application.ReadWrite.OwnedBy of Microsoft Graph for what it makes itself, or Application.ReadWrite.All, with an \
    administrator's consent.";

const NOT_YET: &str = "it does not show yet what was made a moment ago";

/// An error of Microsoft Graph. Its message is for the log: it quotes the request, and never a token.
#[derive(Default, Deserialize)]
struct Failed {
    #[serde(default)]
    error: Failure,
}

#[derive(Default, Deserialize)]
struct Failure {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    code: String,
}

/// What a status and its body mean, with what `Retry-After` said.
pub(super) fn of(status: u16, body: &[u8], wanted: Option<Duration>) -> Refusal {
    let Failure { code, message, details } = serde_json::from_slice::<Failed>(body).unwrap_or_default().error;
    let says = |word: &str| code == word || details.iter().any(|detail| detail.code == word);
    let answered = || format!("it answered {}", told(status, &code));
    // By Debug: nothing in it may steer the terminal. What a sentence of ours stands for, or is waited for, is for who looks
    // closer.
    tracing::debug!(status, code = ?code, message = ?message, "Microsoft Graph does not take a request");
    match status {
        // A service principal whose registration is not known everywhere yet.
        400 if says("NoBackingApplicationObject")
            || message.contains("does not reference a valid application") =>
        {
            Refusal::Again(NOT_YET.to_owned())
        }
        400 | 409 if says("ObjectConflict") || message.contains("Another object with the same value") => {
            Refusal::Conflict(conflict(&message))
        }
        401 => Refusal::Wrong(NO_TOKEN.to_owned()),
        403 => Refusal::Wrong(NO_ROLE.to_owned()),
        404 => Refusal::Absent(NOT_YET.to_owned()),
        429 => Refusal::Again(match wanted {
            Some(wanted) => {
                format!("it throttles (429), and asks to be left alone for {} s", wanted.as_secs())
            }
            None => "it throttles (429)".to_owned(),
        }),
        // Two writes at a time.
        409 | 423 => Refusal::Again(answered()),
        408 | 500.. => Refusal::Unsure(answered()),
        300..=399 => Refusal::Wrong(NO_GRAPH.to_owned()),
        _ => {
            tracing::warn!(status, code = ?code, message = ?message, "Microsoft Graph does not take a request");
            Refusal::Wrong(format!(
                "Microsoft Graph does not take the request: {}. The log has its words.",
                answered()
            ))
        }
    }
}

/// The name of the property is taken from a list of ours.
fn conflict(message: &str) -> String {
    let what = match ["uniqueName", "identifierUris"].into_iter().find(|name| message.contains(name)) {
        Some("uniqueName") => "the unique name",
        Some(_) => "the identifier URI",
        None => "a name or an address",
    };
    format!(
        "Another registration has {what} that this one needs: most likely one that was deleted in the last 30 days, which keeps \
         it as long. Restore that one in the Entra admin center (App registrations, Deleted applications) and give this \
         command again; or delete it there for good; or choose another --unique-name. If it was made a moment ago, a minute's \
         wait is enough."
    )
}

/// The code beside the status, if it is one.
fn told(status: u16, code: &str) -> String {
    let is_word = !code.is_empty()
        && code.len() <= 64
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_word { format!("{status} {code}") } else { status.to_string() }
}

/// There is an answer, and it is not Microsoft Graph's.
pub(super) fn no_graph() -> ApplyError {
    ApplyError::Wrong(NO_GRAPH.to_owned())
}

/// Its issuer would be trusted to say who Entrada is.
pub(super) fn no_cloud() -> ApplyError {
    ApplyError::Wrong(
        "--authority is none of Microsoft's clouds: https://login.microsoftonline.com, https://login.microsoftonline.us or \
         https://login.partner.microsoftonline.cn."
            .to_owned(),
    )
}

/// Nothing can be asked over TLS.
pub(super) fn no_client() -> ApplyError {
    ApplyError::Wrong("There is no HTTP client: the system's root certificates cannot be used.".to_owned())
}

/// The registration is not where the operator thinks.
pub(super) fn another_tenant(owner: &str, tenant: &str) -> ApplyError {
    let owner = uuid::Uuid::try_parse(owner).map_or_else(|_| "another".to_owned(), |owner| owner.to_string());
    ApplyError::Wrong(format!(
        "Whoever is signed in belongs to the tenant {owner}, and the registration is there, not in {tenant}. Sign in to that \
         one, or name the other by --tenant."
    ))
}
