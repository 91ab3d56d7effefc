//! What tests stand on.

pub mod browser;
pub mod client;
pub mod clock;
pub mod entrada;
pub mod front;
pub mod mcp;
pub mod program;
pub mod race;
pub mod script;
pub mod tools;
pub mod upload;
pub mod upstream;
pub mod vigil;
pub mod web_browser;
