//! Which running server an administrative command asks.

use std::path::PathBuf;

use clap::Args;

use crate::app::admin;
use crate::app::admin::Reply;
use crate::app::exit::Failure;
use crate::app::start::start;
use crate::cli::Configuration;
use crate::cli::log;
use crate::config::LogFormat;
use crate::flows::AuthServer;

/// Which running server is asked.
#[derive(Debug, Args)]
pub struct Server {
    #[command(flatten)]
    configuration: Configuration,
    /// The data directory of an embedded store, in place of a configuration: the socket in it is all that is needed.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
}

/// Who carries commands out.
pub enum Administration {
    /// The server that has the embedded store of this data directory.
    Socket(PathBuf),
    /// This process, on a store that replicas share.
    Own(AuthServer),
}

impl Server {
    /// Finds out who carries commands out.
    pub async fn reach(self) -> Result<Administration, Failure> {
        if let Some(data_dir) = self.data_dir {
            return Ok(Administration::Socket(data_dir));
        }
        let enough = |failure| {
            Failure::Usage(format!("{failure}\nFor an embedded store, --data-dir DIR is enough here."))
        };
        let config = self.configuration.load().map_err(enough)?;
        if !config.store.is_shared() {
            return Ok(Administration::Socket(config.data_dir));
        }
        // What is done is recorded, as it is by a server.
        log::start(config.log_format == LogFormat::Json);
        let started = start(&config).await?;
        match started.away {
            None => Ok(Administration::Own(started.auth)),
            Some(why) => Err(Failure::Store(format!("The keys cannot be read: {why}. Try again."))),
        }
    }

    /// Has one command carried out.
    pub async fn ask(self, command: admin::Command) -> Result<Reply, Failure> {
        self.reach().await?.ask(command).await
    }
}

impl Administration {
    /// Has a command carried out.
    pub async fn ask(&self, command: admin::Command) -> Result<Reply, Failure> {
        match self {
            Self::Socket(data_dir) => admin::ask(data_dir, &command).await,
            Self::Own(auth) => admin::done(admin::carry_out(command, auth).await),
        }
    }
}
