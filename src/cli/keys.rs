//! `entrada keys list`, `rotate` and `init`.

use clap::Args;
use clap::Subcommand;

use crate::app::admin;
use crate::app::admin::Reply;
use crate::app::exit::Failure;
use crate::app::start::make_root_key;
use crate::cli::Configuration;
use crate::cli::log;
use crate::cli::say;
use crate::cli::server::Server;
use crate::cli::shown::utc;
use crate::config::LogFormat;
use crate::domain::signing_keys::KeySummary;
use crate::domain::signing_keys::Stage;
use crate::flows::rotate::KeysFound;
use crate::flows::rotate::NotRotated;
use crate::flows::rotate::RootStage;
use crate::flows::rotate::Rotated;
use crate::flows::rotate::Rotation;
use crate::ports::root_key::Place;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the keys that sign access tokens, and the generations of the root key. Shows no key.
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Replace a key before its time. Without an option: a new signing key, published now and used in an hour. Signing
    /// keys are replaced every 30 days without being asked.
    Rotate {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        how: How,
    },
    /// Make the root key of a new store that replicas share, and bind the store to it. Give a copy of the file to each
    /// replica, and keep one. In a key vault, the first replica that starts does the same.
    Init(Configuration),
}

/// What is replaced, and how.
#[derive(Debug, Args)]
pub struct How {
    /// The signing key is in other hands: replace all of them at once. Access tokens that are out are refused, at once by
    /// the server that is asked, within 30 seconds by replicas, which until then may refuse each other's, and clients
    /// refresh. MCP servers that verify tokens themselves go by the old key until they read the key set again.
    #[arg(long, conflicts_with_all = ["root", "compromised"])]
    now: bool,
    /// Add a generation of the root key. What was made with the old ones goes on.
    #[arg(long)]
    root: bool,
    /// The root key is in other hands: drop the old generations. Everybody signs in again, clients register again, and
    /// the signing keys are replaced. Replicas that share the store serve nothing until each has the new file, or has
    /// found the new version in the key vault.
    #[arg(long, requires = "root")]
    compromised: bool,
}

impl How {
    fn rotation(&self) -> Rotation {
        match (self.root, self.compromised, self.now) {
            (true, true, _) => Rotation::RootCompromised,
            (true, false, _) => Rotation::Root,
            (false, _, true) => Rotation::SigningCompromised,
            (false, _, false) => Rotation::Signing,
        }
    }
}

pub async fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::List { server } => match server.ask(admin::Command::ListKeys).await? {
            Reply::Keys(found) => print(&found),
            reply => Err(refused(reply)),
        },
        Command::Rotate { server, how } => {
            match server.ask(admin::Command::RotateKeys(how.rotation())).await? {
                Reply::Rotated(rotated) => say(&sentence(rotated)),
                reply => Err(refused(reply)),
            }
        }
        Command::Init(configuration) => {
            let config = configuration.load()?;
            log::start(config.log_format == LogFormat::Json);
            let place = make_root_key(&config).await?;
            let bound = format!("The store is bound to the root key in {place}.");
            say(&match place.is_common() {
                false => format!("{bound} Give each replica a copy, and keep one."),
                true => format!("{bound} Every replica finds it there."),
            })
        }
    }
}

fn refused(reply: Reply) -> Failure {
    match reply {
        Reply::NotRotated(NotRotated::HasSuccessor { kid, signs_from }) => Failure::Running(format!(
            "The next signing key, {kid}, is published already and signs from {}. If the one that signs now is in other \
             hands: `entrada keys rotate --now`.",
            utc(signs_from.0)
        )),
        Reply::NotRotated(NotRotated::RootPending { generation, issues_from, missing, place }) => {
            pending(generation, &utc(issues_from.0), missing, &place)
        }
        Reply::NotRotated(NotRotated::NoMoreGenerations) => {
            Failure::RootKey("The root key has all the generations that it can have.".to_owned())
        }
        Reply::NotRotated(NotRotated::AnotherFirst) => Failure::Running(
            "Another command or replica changed the keys at the same time. See `entrada keys list`, and ask again if it is \
             still wanted."
                .to_owned(),
        ),
        Reply::NotRotated(NotRotated::Locked(text)) => Failure::RootKey(text),
        Reply::NotRotated(NotRotated::RootAway(text)) => Failure::Store(text),
        Reply::NotRotated(NotRotated::Unreadable(text)) => Failure::Store(text),
        _ => admin::another_version(),
    }
}

/// Why no other generation of the root key is made now.
fn pending(generation: u8, issues_from: &str, missing: bool, place: &Place) -> Failure {
    let gone = "If it is lost: `entrada keys rotate --root --compromised`, which signs everybody out.";
    match (missing, place.is_common()) {
        (false, false) => Failure::Running(format!(
            "Generation {generation} of the root key is announced already, and used from {issues_from}. Give every replica \
             the file that has it."
        )),
        (false, true) => Failure::Running(format!(
            "Generation {generation} of the root key is announced already, and used from {issues_from}. Every replica finds \
             it by itself."
        )),
        (true, false) => Failure::RootKey(format!(
            "Generation {generation} of the root key, which is used from {issues_from}, is not in this file. Run this where \
             the newest file is. {gone}"
        )),
        (true, true) => Failure::RootKey(format!(
            "Generation {generation} of the root key, which is used from {issues_from}, is not in {place}. Enable its \
             version, or recover the secret. {gone}"
        )),
    }
}

fn sentence(rotated: Rotated) -> String {
    match rotated {
        Rotated::Published { kid, signs_from } => {
            format!("The signing key {kid} is published. It signs from {}.", utc(signs_from.0))
        }
        Rotated::Replaced { kid } => format!(
            "{kid} is the only signing key now. Access tokens that are out are refused; clients refresh by themselves."
        ),
        Rotated::RootAdded { generation, issues_from, place } => {
            let there = format!("Generation {generation} of the root key is in {place}");
            match (issues_from.map(|from| utc(from.0)), place.is_common()) {
                (None, false) => format!("{there}, and is used from now on. Keep a copy of the file."),
                (None, true) => format!("{there}, and is used from now on."),
                (Some(from), false) => format!(
                    "{there}, and is used from {from}. Until then, exchange the file of every replica for this one, and keep \
                     a copy; one without it serves nothing from then on."
                ),
                (Some(from), true) => {
                    format!("{there}, and is used from {from}. Every replica finds it there by itself.")
                }
            }
        }
        Rotated::RootReplaced { generation, ended, place } => {
            let done = format!(
                "Generation {generation} in {place} is the only root key now. {ended} grants ended; everybody signs in again, \
                 and clients register again."
            );
            match place.is_common() {
                false => format!(
                    "{done} Replicas without the new file serve nothing: exchange theirs for it, and keep a copy."
                ),
                true => format!("{done} Every replica finds it there by itself, within half a minute."),
            }
        }
    }
}

fn print(found: &KeysFound) -> Result<(), Failure> {
    say(&format!(
        "{:<43}  {:<5}  {:<9}  {:<20}  {:<20}  VERIFIES UNTIL",
        "SIGNING KEY", "ALG", "STATE", "PUBLISHED", "SIGNS FROM"
    ))?;
    for KeySummary { kid, alg, stage, published_at, signs_from, ends } in &found.signing {
        let stage = match stage {
            Stage::Published => "published",
            Stage::Signing => "signing",
            Stage::Retired => "retired",
        };
        say(&format!(
            "{kid:<43}  {:<5}  {stage:<9}  {:<20}  {:<20}  {}",
            alg.as_str(),
            utc(published_at.0),
            utc(signs_from.0),
            ends.map_or_else(|| "-".to_owned(), |end| utc(end.0)),
        ))?;
    }
    say("")?;
    say(&format!("{:<10}  {:<9}  USED FROM    ({})", "ROOT KEY", "STATE", found.place))?;
    for root in &found.root {
        let state = match root.stage {
            RootStage::Pending => "pending",
            RootStage::Current => "current",
            RootStage::Verifies => "verifies",
        };
        say(&format!("{:<10}  {state:<9}  {}", root.generation, utc(root.issues_from.0)))?;
    }
    Ok(())
}
