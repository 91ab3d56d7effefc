//! The targets. Each takes bytes, asserts what has to hold whatever they are, and tells whether they were good for
//! anything: a seed whose name begins with `accepted-` has to be, any other must not.

pub mod authorize;
pub mod client_assertions;
pub mod documents;
pub mod envelopes;
pub mod gateway;
pub mod jsonrpc;
pub mod outside;
pub mod references;
pub mod registration;
pub mod stand;
pub mod token;
pub mod tokens;

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    Refused,
}

/// A target: its name, which is that of its folder of seeds, and what runs an input.
pub type Target = (&'static str, fn(&[u8]) -> Verdict);

/// All of them.
pub const TARGETS: &[Target] = &[
    ("authorize", authorize::run),
    ("client_assertions", client_assertions::run),
    ("documents", documents::run),
    ("envelopes", envelopes::run),
    ("gateway_headers", gateway::headers),
    ("gateway_paths", gateway::paths),
    ("jsonrpc", jsonrpc::run),
    ("references", references::run),
    ("registration", registration::run),
    ("token", token::run),
    ("tokens", tokens::run),
];

/// A credential that the stand gives out, as an input, and what it is called.
pub type Issued = (&'static str, Vec<u8>);

/// Gives out what a target reads.
pub type Issue = fn() -> Vec<Issued>;

/// The targets whose seeds are what the stand gives out, byte for byte. They are what an earlier version gave out
/// too: whoever changes a format sees here that what is out there is not read any more.
pub const ISSUED: &[(&str, Issue)] =
    &[("envelopes", envelopes::issued), ("references", references::issued), ("tokens", tokens::issued)];

/// Accepted, if it is so.
fn verdict(accepted: bool) -> Verdict {
    if accepted { Verdict::Accepted } else { Verdict::Refused }
}
