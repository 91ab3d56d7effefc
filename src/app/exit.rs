//! Exit codes, so that a supervisor can tell a mistake from an outage.

use std::fmt;
use std::process::ExitCode;

/// Why the program ends without success.
#[derive(Debug)]
pub enum Failure {
    /// It ran, and then could not go on.
    Running(String),
    /// Usage or configuration.
    Usage(String),
    /// The store is locked, corrupt or away, or the key vault is away.
    Store(String),
    /// The root key is missing, readable by others, or not the store's.
    RootKey(String),
}

impl Failure {
    /// 1 running · 2 usage or configuration · 3 store · 4 root key.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Running(_) => 1,
            Self::Usage(_) => 2,
            Self::Store(_) => 3,
            Self::RootKey(_) => 4,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running(text) | Self::Usage(text) | Self::Store(text) | Self::RootKey(text) => {
                f.write_str(text)
            }
        }
    }
}
