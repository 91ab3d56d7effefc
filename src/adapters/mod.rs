//! How the outside does what the ports ask for.

pub mod audit;
pub mod azure_credential;
pub mod cosmos;
pub mod embedded;
pub mod measured;
pub mod oidc;
pub mod root_key_file;
pub mod system;
pub mod web_documents;
