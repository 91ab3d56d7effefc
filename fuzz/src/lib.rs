//! What is fuzzed, and what has to hold of every input: one module for each target.
//!
//! `tests/it/fuzzed.rs` includes the same modules and runs every seed through them.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a target that cannot go on has found something")]

pub mod targets;
