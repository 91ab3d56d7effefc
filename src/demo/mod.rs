//! demo: what a laptop needs to try and to test Entrada without a cloud.
//!
//! An outermost layer: nothing that ships in a release image may import it. It is compiled only with the
//! feature `demo`.

pub mod browser;
pub mod client;
pub mod idp;
pub mod invitation;
pub mod site;
pub mod walk;
pub mod watch;
pub mod web_client;
