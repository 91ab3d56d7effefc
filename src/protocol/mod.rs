//! What the RFCs say: messages, their syntax and their comparison. No state, no clock, no I/O.

pub mod challenge;
pub mod client_auth;
pub mod client_document;
pub mod client_id_url;
pub mod error;
pub mod forwarded;
pub mod issuer;
pub mod jsonrpc;
pub mod metadata;
pub mod parameters;
pub mod pkce;
pub mod redirect_uri;
pub mod registration;
pub mod scope;
pub mod token;
