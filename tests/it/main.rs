//! Everything that is proved through a front door, in one binary.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod documents;
mod embedded;
mod flow;
mod layers;
mod races;
mod store_contract;
mod support;
