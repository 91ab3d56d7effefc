//! What we need from the outside, in our own words.

pub mod clock;
pub mod store;
