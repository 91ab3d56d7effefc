//! Which running server an administrative command asks.

use std::path::PathBuf;

use clap::Args;

use crate::app::exit::Failure;
use crate::cli::Configuration;

/// Which running server is asked.
#[derive(Debug, Args)]
pub struct Server {
    #[command(flatten)]
    configuration: Configuration,
    /// Its data directory, in place of a configuration: the socket in it is all that is needed.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
}

impl Server {
    /// Where its socket is.
    pub fn data_dir(self) -> Result<PathBuf, Failure> {
        let enough = |failure| Failure::Usage(format!("{failure}\nHere, --data-dir DIR is enough."));
        let configured = || Ok(self.configuration.load().map_err(enough)?.data_dir);
        self.data_dir.map_or_else(configured, Ok)
    }
}
