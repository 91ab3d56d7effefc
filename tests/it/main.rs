//! Everything that is proved through a front door, in one binary.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attack;
mod bad_input;
mod blocking;
mod code;
mod configured;
mod confusion;
mod consent;
mod cookies;
mod cors;
mod discovery;
mod documents;
mod e2e;
mod embedded;
mod errors;
mod escaping;
mod flow;
mod gateway;
mod layers;
mod limits;
mod pages;
mod parameters;
mod pkce;
mod program;
mod proof;
mod properties;
mod races;
mod real_clients;
mod redirects;
mod refresh;
mod registration;
mod resources;
mod secrets;
mod storage;
mod store_contract;
mod support;
mod tokens;
mod upstream_errors;
