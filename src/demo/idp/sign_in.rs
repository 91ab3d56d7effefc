//! A sign-in while its page is shown.

use url::Url;

use super::face::Site;

/// A verified authorization request while its page is shown.
pub(super) struct SignIn {
    pub expires_at: i64,
    pub site: Site,
    pub request: Request,
    pub client: ReturnAddress,
}

/// What an authorization request asks for.
pub(super) struct Request {
    pub scope: Vec<String>,
    pub nonce: Option<String>,
    pub challenge: Option<String>,
    pub freshness: Freshness,
    /// `prompt=none`: no page may be shown.
    pub silent: bool,
}

/// A redirect URI of the client, and the state that goes back with every answer.
pub(super) struct ReturnAddress {
    pub redirect_uri: String,
    pub url: Url,
    pub state: Option<String>,
}

/// How recent a sign-in must be (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy)]
pub(super) struct Freshness {
    /// `prompt=login`
    pub login: bool,
    /// `max_age`, in seconds
    pub max_age: Option<u32>,
}
