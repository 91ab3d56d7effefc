//! Administration: a Unix socket in the data directory, for whoever may read that directory.
//!
//! One line of JSON asks, one line answers. The embedded store has one process, so the commands of the
//! command line are carried out by the one that serves.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::app::accept::pause;
use crate::app::exit::Failure;
use crate::app::stop;
use crate::domain::block::Blocked;
use crate::flows::AuthServer;
use crate::flows::administer::Found;
use crate::flows::administer::Selection;
use crate::flows::administer_keys::ApiKeys;
use crate::flows::administer_keys::KeyLine;
use crate::flows::administer_keys::KeyRotation;
use crate::flows::administer_keys::MadeKey;
use crate::flows::administer_keys::NewKey;
use crate::flows::administer_keys::NoKey;
use crate::flows::block::Clients;
use crate::flows::block::NotChanged;
use crate::flows::block::Target;
use crate::flows::rotate::KeysFound;
use crate::flows::rotate::NotRotated;
use crate::flows::rotate::Rotated;
use crate::flows::rotate::Rotation;

/// No question is longer.
const MAX_LINE: u64 = 64 * 1024;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    ListGrants(Selection),
    RevokeGrants(Selection),
    ListClients,
    Block(Target),
    Unblock(Target),
    ListKeys,
    RotateKeys(Rotation),
    MakeApiKey(NewKey),
    ListApiKeys,
    RotateApiKey(KeyRotation),
    /// Its name, or `key:…`.
    RevokeApiKey(String),
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Grants(Found),
    Clients(Clients),
    Changed(Blocked),
    Unchanged(NotChanged),
    Keys(KeysFound),
    Rotated(Rotated),
    NotRotated(NotRotated),
    ApiKeys(ApiKeys),
    MadeApiKey(MadeKey),
    RevokedApiKey(KeyLine),
    NoApiKey(NoKey),
    StoreAway,
    NotUnderstood,
}

fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.sock")
}

/// Binds the socket. The store's lock is held by now: a socket that lies there was left by a process
/// that is gone.
pub fn bind(data_dir: &Path) -> Result<UnixListener, Failure> {
    let path = socket(data_dir);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidInput => Failure::Usage(format!(
            "data_dir: the path of the administration socket in it, {}, is too long for a Unix socket. Use a shorter one.",
            path.display()
        )),
        _ => {
            Failure::Running(format!("The administration socket {} cannot be made: {error}.", path.display()))
        }
    };
    // Under another name until it is closed to others: the directory may be open to them.
    let draft = path.with_extension("sock.new");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&draft).map_err(failed)?;
    std::fs::set_permissions(&draft, Permissions::from_mode(0o600)).map_err(failed)?;
    std::fs::rename(&draft, &path).map_err(failed)?;
    Ok(listener)
}

/// Removes the socket, so that nobody waits at it.
pub fn unbind(data_dir: &Path) {
    let _ = std::fs::remove_file(socket(data_dir));
}

/// Answers until told to stop.
pub async fn accept(listener: UnixListener, auth: AuthServer, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    pause().await;
                    continue;
                };
                let auth = auth.clone();
                tokio::spawn(async move { answer(stream, &auth).await });
            }
            () = stop::told(&mut stopped) => return,
        }
    }
}

async fn answer(stream: UnixStream, auth: &AuthServer) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(MAX_LINE)).read_line(&mut line).await?;
    let reply = match serde_json::from_str(&line) {
        Ok(command) => carry_out(command, auth).await,
        Err(_) => Reply::NotUnderstood,
    };
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    write.write_all(&text).await
}

/// Does what was asked.
pub async fn carry_out(command: Command, auth: &AuthServer) -> Reply {
    let changed =
        |outcome: Result<Blocked, NotChanged>| outcome.map_or_else(Reply::Unchanged, Reply::Changed);
    let done = match command {
        Command::ListGrants(selection) => auth.list_grants(&selection).await.map(Reply::Grants),
        Command::RevokeGrants(selection) => auth.revoke_grants(&selection).await.map(Reply::Grants),
        Command::ListClients => auth.list_clients().await.map(Reply::Clients),
        Command::Block(target) => Ok(changed(auth.block(target).await)),
        Command::Unblock(target) => Ok(changed(auth.unblock(target).await)),
        Command::ListKeys => Ok(auth.list_keys().await.map_or_else(Reply::NotRotated, Reply::Keys)),
        Command::RotateKeys(rotation) => {
            Ok(auth.rotate_keys(rotation).await.map_or_else(Reply::NotRotated, Reply::Rotated))
        }
        Command::ListApiKeys => auth.list_api_keys().await.map(Reply::ApiKeys),
        Command::MakeApiKey(new) => {
            Ok(auth.make_key(new).await.map_or_else(Reply::NoApiKey, Reply::MadeApiKey))
        }
        Command::RotateApiKey(rotation) => {
            Ok(auth.rotate_key(rotation).await.map_or_else(Reply::NoApiKey, Reply::MadeApiKey))
        }
        Command::RevokeApiKey(named) => {
            Ok(auth.revoke_key(&named).await.map_or_else(Reply::NoApiKey, Reply::RevokedApiKey))
        }
    };
    done.unwrap_or(Reply::StoreAway)
}

/// Asks the process that serves from this data directory. What it could not do comes back as a failure.
pub async fn ask(data_dir: &Path, command: &Command) -> Result<Reply, Failure> {
    let path = socket(data_dir);
    let reply = exchange(&path, command).await.map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => "Run this as the user that the server runs as.",
            _ => {
                "Administration goes through the running server: start it with `entrada serve`, point --config at its configuration, or --data-dir at its data directory."
            }
        };
        Failure::Running(format!("No running server answers at {}: {error}. {remedy}", path.display()))
    })?;
    done(reply)
}

/// What could not be done is a failure.
pub fn done(reply: Reply) -> Result<Reply, Failure> {
    match reply {
        Reply::StoreAway
        | Reply::Unchanged(NotChanged::StoreAway)
        | Reply::NotRotated(NotRotated::StoreAway)
        | Reply::NoApiKey(NoKey::StoreAway) => {
            Err(Failure::Store("The server's store does not answer. Try again.".to_owned()))
        }
        Reply::NotUnderstood => Err(another_version()),
        reply => Ok(reply),
    }
}

/// The running server answers as no server of this version does.
pub fn another_version() -> Failure {
    Failure::Running("The running server is another version than this command.".to_owned())
}

async fn exchange(path: &Path, command: &Command) -> io::Result<Reply> {
    let (read, mut write) = UnixStream::connect(path).await?.into_split();
    let mut text = serde_json::to_vec(command)?;
    text.push(b'\n');
    write.write_all(&text).await?;
    let mut line = String::new();
    BufReader::new(read).read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}
