//! Everything that is proved through a front door, in one binary.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attack;
mod bad_input;
mod code;
mod confusion;
mod consent;
mod discovery;
mod documents;
mod e2e;
mod embedded;
mod flow;
mod gateway;
mod layers;
mod pages;
mod program;
mod races;
mod real_clients;
mod refresh;
mod store_contract;
mod support;
