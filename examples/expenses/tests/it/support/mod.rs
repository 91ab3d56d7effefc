pub mod issuer;
pub mod server;
