//! What we need from the outside, in our own words.

pub mod audit;
pub mod clock;
pub mod documents;
pub mod idp;
pub mod root_key;
pub mod store;
