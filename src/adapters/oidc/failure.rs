//! Failures that we find ourselves: kind and words, without anything of the provider's.

use crate::ports::idp::UpstreamError;
use crate::ports::idp::UpstreamReason;

pub(super) fn away(what: &'static str) -> UpstreamError {
    UpstreamError::Away(because(what))
}

pub(super) fn invalid(what: &'static str) -> UpstreamError {
    UpstreamError::Invalid(because(what))
}

pub(super) fn refused(what: &'static str) -> UpstreamError {
    UpstreamError::Refused(because(what))
}

pub(super) fn somebody_else(what: &'static str) -> UpstreamError {
    UpstreamError::SomebodyElse(because(what))
}

pub(super) fn guest(what: &'static str) -> UpstreamError {
    UpstreamError::Guest(because(what))
}

pub(super) fn guest_unknown(what: &'static str) -> UpstreamError {
    UpstreamError::GuestUnknown(because(what))
}

fn because(what: &'static str) -> UpstreamReason {
    UpstreamReason { what, ..UpstreamReason::default() }
}
