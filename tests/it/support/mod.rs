//! What tests stand on.

pub mod browser;
pub mod client;
pub mod clock;
pub mod entrada;
pub mod race;
pub mod script;
pub mod upstream;
pub mod vigil;
