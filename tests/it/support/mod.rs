//! What tests stand on.

pub mod api_key;
pub mod browser;
pub mod certificates;
pub mod client;
pub mod clock;
pub mod cosmos;
pub mod counted;
pub mod entrada;
pub mod front;
pub mod graph;
pub mod load;
pub mod mcp;
pub mod page;
pub mod program;
pub mod published;
pub mod race;
pub mod script;
pub mod signer;
pub mod tools;
pub mod upload;
pub mod upstream;
pub mod vault;
pub mod vigil;
pub mod web;
pub mod web_browser;
