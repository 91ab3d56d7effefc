//! `entrada key new`, `list`, `rotate` and `revoke`.

use std::time::Duration;

use clap::Args;
use clap::Subcommand;

use crate::app::admin;
use crate::app::admin::Reply;
use crate::app::exit::Failure;
use crate::cli::say;
use crate::cli::server::Server;
use crate::cli::shown::printable;
use crate::cli::shown::scope;
use crate::cli::shown::text;
use crate::cli::shown::utc;
use crate::domain::api_key::LONGEST;
use crate::domain::api_key::MAX_SECRETS;
use crate::domain::limits::Rate;
use crate::flows::administer_keys::ApiKeys;
use crate::flows::administer_keys::KeyLine;
use crate::flows::administer_keys::KeyRotation;
use crate::flows::administer_keys::MadeKey;
use crate::flows::administer_keys::NewKey;
use crate::flows::administer_keys::NoKey;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key for one resource. Prints it, once, to standard output, and what it is to standard error.
    New {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        new: KeyOptions,
    },
    /// List the keys: what each is for, until when it is good, and how much it is used. Shows no key.
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Give a key a new secret. Prints it, once; the old one goes on for a while.
    Rotate {
        #[command(flatten)]
        server: Server,
        /// Its name, or key:… as `key list` and logs show it.
        #[arg(value_name = "KEY")]
        key: String,
        /// How long the old secret goes on, as in 24h or 7d; 0s ends it at once.
        #[arg(long, value_name = "TIME", value_parser = time)]
        overlap: Duration,
        /// How long the new secret is good, a year at most. As long as the old one was, if it is not said.
        #[arg(long, value_name = "TIME", value_parser = expiry)]
        expires: Option<Duration>,
    },
    /// End a key: at once at the server that is asked, within 30 seconds where replicas share a store.
    Revoke {
        #[command(flatten)]
        server: Server,
        /// Its name, or key:… as `key list` and logs show it.
        #[arg(value_name = "KEY")]
        key: String,
    },
}

/// What a new key is.
#[derive(Debug, Args)]
pub struct KeyOptions {
    /// What you call it, as in ci or nightly-report.
    #[arg(long, value_parser = name)]
    name: String,
    /// The path of the resource that it opens, as in /mcp. The resource has to have `keys = true`.
    #[arg(long, value_name = "PATH")]
    resource: String,
    /// What it may do there; several with commas or spaces between, or one after another.
    #[arg(long, value_name = "SCOPES", required = true, value_delimiter = ',', value_parser = scopes)]
    scopes: Vec<Vec<String>>,
    /// How long it is good, as in 90d; a year at most.
    #[arg(long, value_name = "TIME", value_parser = expiry)]
    expires: Duration,
    /// How many requests it may make, in place of the limit for a person: 60/m, in a second, minute or hour (s, m, h).
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<Rate>,
    /// Whom to ask about it. Your login name, where you have one and it is not said.
    #[arg(long, value_parser = text)]
    owner: Option<String>,
}

/// Characters, so that a list can be read.
const LONGEST_NAME: usize = 64;

fn name(given: &str) -> Result<String, String> {
    match given {
        given if given.starts_with("key:") => {
            Err("names that begin with key: are those that keys are given here".to_owned())
        }
        given if given.chars().count() > LONGEST_NAME => Err(format!("{LONGEST_NAME} characters at most")),
        given => text(given),
    }
}

/// A list with spaces.
fn scopes(given: &str) -> Result<Vec<String>, String> {
    let scopes: Vec<_> = given.split_ascii_whitespace().map(scope).collect::<Result<_, _>>()?;
    if scopes.is_empty() { Err("name a scope at least".to_owned()) } else { Ok(scopes) }
}

fn time(given: &str) -> Result<Duration, String> {
    humantime::parse_duration(given).map_err(|_| "write it as in 90d, 12h or 30m".to_owned())
}

fn expiry(given: &str) -> Result<Duration, String> {
    match time(given)? {
        time if time > LONGEST => Err("a key is good for a year at most: 365d".to_owned()),
        time if time < Duration::from_secs(1) => Err("a key has to be good for a second at least".to_owned()),
        time => Ok(time),
    }
}

fn rate(given: &str) -> Result<Rate, String> {
    Rate::parse(given).map_err(|fault| {
        format!("{fault} Write it as in 60/m: so many in a second, minute or hour (s, m, h).")
    })
}

pub async fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::New { server, new } => match server.ask(admin::Command::MakeApiKey(new.asked()?)).await? {
            Reply::MadeApiKey(made) => print_made(&made, "Made"),
            reply => Err(refused(reply)),
        },
        Command::List { server } => match server.ask(admin::Command::ListApiKeys).await? {
            Reply::ApiKeys(found) => print(&found),
            reply => Err(refused(reply)),
        },
        Command::Rotate { server, key, overlap, expires } => {
            let rotation = KeyRotation { key, overlap, expires_in: expires };
            match server.ask(admin::Command::RotateApiKey(rotation)).await? {
                Reply::MadeApiKey(made) => {
                    print_made(&made, "Rotated")?;
                    let overlap = humantime::format_duration(overlap);
                    eprintln!(
                        "The secret that it had goes on for {overlap}, and no longer than it would have."
                    );
                    Ok(())
                }
                reply => Err(refused(reply)),
            }
        }
        Command::Revoke { server, key } => match server.ask(admin::Command::RevokeApiKey(key)).await? {
            Reply::RevokedApiKey(line) => say(&format!("Revoked: {} ({}).", line.id, printable(&line.name))),
            reply => Err(refused(reply)),
        },
    }
}

impl KeyOptions {
    fn asked(self) -> Result<NewKey, Failure> {
        let Self { name, resource, scopes, expires, rate, owner } = self;
        let scopes = scopes.iter().flatten().map(String::as_str).collect();
        let login = || std::env::var("USER").ok().and_then(|name| text(&name).ok());
        let nobody = "Nobody is logged in here. Write --owner: whom to ask about the key.";
        let owner = owner.or_else(login).ok_or_else(|| Failure::Usage(nobody.to_owned()))?;
        Ok(NewKey { name, owner, resource, scopes, expires_in: expires, rate })
    }
}

/// The key goes where a program can take it, and what is said of it where only the one who asked reads it.
fn print_made(made: &MadeKey, what: &str) -> Result<(), Failure> {
    say(made.text.expose())?;
    eprintln!(
        "{what}: {} for {}, good until {}. It is shown only now, and stored nowhere.",
        made.id,
        made.resource,
        utc(made.expires_at.0)
    );
    if let Some(list) = &made.lacking {
        eprintln!(
            "It is not let in yet: write {} into {list} of this resource, and restart the server.",
            made.id
        );
    }
    Ok(())
}

fn refused(reply: Reply) -> Failure {
    let Reply::NoApiKey(why) = reply else { return admin::another_version() };
    Failure::Running(match why {
        NoKey::NoSuchResource(paths) => {
            format!("There is no such resource. The configuration has {}.", paths.join(", "))
        }
        NoKey::Off(path) => format!(
            "The resource {path} takes no keys. Write keys = true into its [[resource]], and restart the server."
        ),
        NoKey::NoSuchScope(scopes) => format!("The resource has not all of these scopes. It has {scopes}."),
        NoKey::NameTaken(id) => format!(
            "{id} has this name. Take another one, or `entrada key rotate` gives that key a new secret, or `entrada key revoke` ends it."
        ),
        NoKey::NoSuchKey => "There is no such key. `entrada key list` shows those that there are.".to_owned(),
        NoKey::Ambiguous(ids) => format!("Several keys have this name. Say which: {}.", ids.join(", ")),
        NoKey::Ended => {
            "This key is revoked, or has expired. `entrada key new` makes another one.".to_owned()
        }
        NoKey::TooManySecrets => format!(
            "{MAX_SECRETS} secrets of this key are good already. Wait until one ends, or write --overlap 0s, which ends them all."
        ),
        NoKey::BadExpiry => "A key is good for a year at most: 365d.".to_owned(),
        NoKey::StoreAway => "The server's store does not answer. Try again.".to_owned(),
    })
}

fn print(found: &ApiKeys) -> Result<(), Failure> {
    say(&format!(
        "{:<20}  {:<20}  {:<8}  {:<20}  {:<20}  {:>7}  {:>8}  {:<16}  {:<12}  SCOPES",
        "KEY", "NAME", "STATE", "EXPIRES", "LAST USED", "TODAY", "30 DAYS", "OWNER", "RESOURCE"
    ))?;
    for key in &found.keys {
        say(&line(key))?;
    }
    if found.unreadable > 0 {
        say(&format!("{} more cannot be read with this server's keys.", found.unreadable))?;
    }
    if found.keys.iter().any(|key| !key.taken) {
        say("(off): the resource is gone from the configuration, or takes no keys.")?;
    }
    Ok(())
}

fn line(key: &KeyLine) -> String {
    let off = if key.taken { "" } else { " (off)" };
    format!(
        "{:<20}  {:<20}  {:<8}  {:<20}  {:<20}  {:>7}  {:>8}  {:<16}  {:<12}  {}",
        key.id,
        printable(&key.name),
        key.state,
        utc(key.expires_at.0),
        key.last_used_at.map_or_else(|| "never".to_owned(), |at| utc(at.0)),
        key.today,
        key.lately,
        printable(&key.owner),
        format!("{}{off}", key.resource),
        key.scopes,
    )
}
