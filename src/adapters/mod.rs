//! How the outside does what the ports ask for. Adapters never import each other, nor a flow.

pub mod embedded;
