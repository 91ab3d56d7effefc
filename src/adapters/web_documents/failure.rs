//! Why nothing came, in words of ours: the text of an error holds the URL, and may hold what the host sent.

use std::error::Error;
use std::io;

use http::StatusCode;

use crate::ports::documents::NotFetched;

use super::network::NotGlobal;

/// No complete answer came.
pub(super) fn no_answer(error: &reqwest::Error) -> NotFetched {
    NotFetched::Away(if error.is_timeout() {
        "it did not answer in time"
    } else if causes(error).any(|cause| cause.is::<NotGlobal>()) {
        "its name leads to an address that is not global"
    } else if error.is_dns() {
        "its name has no address"
    } else if causes(error).any(is_tls) {
        "its certificate is not accepted, or it speaks no TLS"
    } else if error.is_connect() {
        "it cannot be connected to"
    } else {
        "the connection to it broke"
    })
}

/// An answer came that is neither the document nor a word about it.
pub(super) fn refusal(status: StatusCode) -> NotFetched {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => NotFetched::Missing,
        StatusCode::FORBIDDEN => NotFetched::Away("status 403"),
        StatusCode::TOO_MANY_REQUESTS => NotFetched::Away("status 429"),
        // Another server than the one that was meant, or one that has no time.
        StatusCode::REQUEST_TIMEOUT | StatusCode::MISDIRECTED_REQUEST | StatusCode::TOO_EARLY => {
            NotFetched::Away("status 408, 421 or 425")
        }
        _ if status.is_server_error() => NotFetched::Away("status 5xx"),
        _ if status.is_redirection() => NotFetched::Unusable("a redirect"),
        _ => NotFetched::Unusable("a status other than 200"),
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// An error of TLS is handed on within errors of `io`, which do not name what they hold as their source.
fn is_tls(cause: &(dyn Error + 'static)) -> bool {
    match cause.downcast_ref::<io::Error>() {
        Some(outer) => outer.get_ref().is_some_and(|inner| is_tls(inner)),
        None => cause.is::<rustls::Error>(),
    }
}
