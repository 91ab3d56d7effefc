//! Everything that is proved through a front door, in one binary.

mod embedded;
mod store_contract;
mod support;
