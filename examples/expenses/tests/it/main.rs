//! Everything is proved over real sockets: rmcp's own client, and an issuer that serves its keys.

#[cfg(feature = "cosmos")]
mod cosmos;
mod input;
mod keys;
mod people;
mod program;
mod requests;
mod support;
mod tokens;
