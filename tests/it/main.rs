//! Everything that is proved through a front door, in one binary.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attack;
mod bad_input;
mod blocking;
mod code;
mod configured;
mod confusion;
mod consent;
mod cors;
mod discovery;
mod documents;
mod e2e;
mod embedded;
mod flow;
mod gateway;
mod layers;
mod limits;
mod pages;
mod program;
mod races;
mod refresh;
mod registration;
mod store_contract;
mod support;
