#[cfg(feature = "cosmos")]
pub mod cosmos;
pub mod issuer;
pub mod server;
