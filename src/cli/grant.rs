//! `entrada grant list` and `entrada grant revoke`.

use std::time::UNIX_EPOCH;

use clap::Args;
use clap::Subcommand;

use crate::app::admin;
use crate::app::admin::Reply;
use crate::app::exit::Failure;
use crate::cli::say;
use crate::cli::server::Server;
use crate::cli::shown::printable;
use crate::cli::shown::utc;
use crate::domain::time::Timestamp;
use crate::flows::administer::Found;
use crate::flows::administer::Selection;

/// Characters of a grant's name: 16 bytes in base64url.
const GRANT_NAME: usize = 22;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List grants: who signed in with which application, and until when that holds.
    List {
        #[command(flatten)]
        server: Server,
        /// Only this person's: tid:oid, or oidc: and the provider's sub.
        #[arg(long, value_name = "SUBJECT", value_parser = subject)]
        user: Option<String>,
    },
    /// End grants. Their tokens stop working, here at once, on other replicas within 30 seconds.
    Revoke {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        which: Which,
    },
}

/// Which grants to end.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// One grant, as `grant list` and the claim `sid` name it.
    // One in 64 begins with a hyphen, as options do: they are base64url.
    #[arg(allow_hyphen_values = true, value_parser = grant_name)]
    grant: Option<String>,
    /// All of a person's: tid:oid, or oidc: and the provider's sub.
    #[arg(long, value_name = "SUBJECT", value_parser = subject)]
    user: Option<String>,
    /// All of a client's: its client_id, or the short form of it that `grant list` and logs show.
    #[arg(long, value_name = "CLIENT", allow_hyphen_values = true)]
    client: Option<String>,
    /// All of sign-ins before this instant, as in 2026-11-25T07:00:00Z: after a backup was put back, which knows
    /// nothing of what was revoked since.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    before: Option<Timestamp>,
    /// Every grant there is: everybody has to sign in again.
    #[arg(long)]
    all: bool,
}

impl Which {
    fn selection(self) -> Result<Selection, Failure> {
        let Self { grant, user, client, before, all } = self;
        let chosen = [
            grant.map(Selection::Grant),
            user.map(Selection::User),
            client.map(Selection::Client),
            before.map(Selection::Before),
            all.then_some(Selection::All),
        ];
        let nothing = || Failure::Usage("Say which grants to end: `grant revoke --help`.".to_owned());
        chosen.into_iter().flatten().next().ok_or_else(nothing)
    }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let since = humantime::parse_rfc3339_weak(text).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let seconds = since.and_then(|since| i64::try_from(since.as_secs()).ok());
    seconds.map(Timestamp).ok_or_else(|| "write it in UTC, as in 2026-11-25T07:00:00Z".to_owned())
}

fn grant_name(text: &str) -> Result<String, String> {
    let base64url = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match text.starts_with('-') && !(text.len() == GRANT_NAME && text.chars().all(base64url)) {
        true => Err("this is neither an option nor the name of a grant".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// `tid:oid` of Entra ID, which are GUIDs, or `oidc:` and what another provider calls a person. GUIDs come
/// back as tokens write them, since subjects are compared byte for byte.
fn subject(text: &str) -> Result<String, String> {
    let guid = |part| uuid::Uuid::try_parse(part).ok();
    if let Some((tid, oid)) = text.split_once(':')
        && let (Some(tid), Some(oid)) = (guid(tid), guid(oid))
    {
        return Ok(format!("{}:{}", tid.hyphenated(), oid.hyphenated()));
    }
    match text.strip_prefix("oidc:") {
        Some(sub) if !sub.is_empty() => Ok(text.to_owned()),
        _ => Err("a person is tid:oid, two GUIDs, or oidc: and the provider's sub; `grant list` shows them"
            .to_owned()),
    }
}

pub async fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::List { server, user } => {
            let selection = user.map_or(Selection::All, Selection::User);
            let found = ask(server, admin::Command::ListGrants(selection)).await?;
            print(&found)?;
        }
        Command::Revoke { server, which } => {
            let selection = which.selection()?;
            let one = matches!(selection, Selection::Grant(_));
            let ended = ask(server, admin::Command::RevokeGrants(selection)).await?;
            // They have ended, whether or not that can be told.
            let untold = |failure| Failure::Running(format!("{} ended. {failure}", ended.grants.len()));
            print(&ended).map_err(untold)?;
            if one && ended.selected == 0 {
                return Err(Failure::Running(
                    "There is no grant of that name. `entrada grant list` shows them.".to_owned(),
                ));
            }
            say(&format!("{} ended.", ended.grants.len()))?;
        }
    }
    Ok(())
}

async fn ask(server: Server, command: admin::Command) -> Result<Found, Failure> {
    match server.ask(command).await? {
        Reply::Grants(found) => Ok(found),
        _ => Err(admin::another_version()),
    }
}

fn print(found: &Found) -> Result<(), Failure> {
    say(&format!(
        "{:<22}  {:<8}  {:<20}  {:<20}  {:<73}  CLIENT",
        "GRANT", "STATE", "LAST USED", "EXPIRES", "SUBJECT"
    ))?;
    for grant in &found.grants {
        say(&format!(
            "{:<22}  {:<8}  {:<20}  {:<20}  {:<73}  {} ({})",
            grant.grant,
            grant.state,
            utc(grant.used_at),
            utc(grant.expires_at),
            printable(&grant.subject),
            printable(&grant.client_name),
            grant.client,
        ))?;
    }
    if found.unreadable > 0 {
        say(&format!("{} more cannot be read with this server's keys.", found.unreadable))?;
    }
    Ok(())
}
