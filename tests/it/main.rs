//! Everything that is proved through a front door, in one binary.

mod bad_input;
mod code;
mod confusion;
mod consent;
mod discovery;
mod embedded;
mod flow;
mod gateway;
mod races;
mod refresh;
mod store_contract;
mod support;
