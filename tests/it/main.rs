//! Everything that is proved through a front door, in one binary.

mod embedded;
mod flow;
mod layers;
mod races;
mod store_contract;
mod support;
