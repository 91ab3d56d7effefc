//! How the outside does what the ports ask for.

pub mod audit;
pub mod azure_credential;
pub mod cosmos;
pub mod embedded;
pub mod entra_registration;
pub mod measured;
pub mod oidc;
mod pause;
pub mod root_key_file;
mod root_key_text;
pub mod root_key_vault;
pub mod system;
pub mod tls;
pub mod web_documents;
