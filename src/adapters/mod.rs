//! How the outside does what the ports ask for.

pub mod oidc;
#[cfg(unix)]
pub mod root_key_file;
pub mod system;
