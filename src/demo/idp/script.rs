use std::fmt;

use async_trait::async_trait;
use serde_json::Map;
use serde_json::Value;

/// How an instance departs from honest behaviour. Every method has a default that changes nothing.
#[async_trait]
pub trait Script: Send + Sync {
    /// Called when a request has been read and recorded, before anything is looked at. It may wait, and
    /// it may answer in the identity provider's place; then nothing else happens.
    async fn before(&self, _endpoint: Endpoint, _params: &[(String, String)]) -> Option<Reply> {
        None
    }

    /// Called when the answer is ready and the state has changed: a code is spent, a refresh token is
    /// rotated. What it returns is sent instead, so that the true answer is lost.
    async fn after(&self, _endpoint: Endpoint, _params: &[(String, String)]) -> Option<Reply> {
        None
    }

    /// The index of the person who is signed in without a page, as if the browser had a session.
    fn pick(&self) -> Option<usize> {
        None
    }

    /// Whether a JWT client assertion (RFC 7523 §2.2) proves the client, whatever its credentials are.
    fn client_assertion(&self, _assertion: &str) -> bool {
        false
    }

    /// May lie in an ID token that is about to be signed.
    fn id_token(&self, _grant: GrantKind, _token: &mut IdToken) {}

    /// May change a successful answer of the token endpoint, as in leaving out the refresh token.
    fn token_response(&self, _grant: GrantKind, _response: &mut Map<String, Value>) {}
}

/// The script of an honest identity provider, which shows its sign-in page.
pub struct NoScript;

impl Script for NoScript {}

/// Where a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Discovery,
    Keys,
    Authorize,
    /// Where the sign-in page posts to.
    Pick,
    Token,
    /// Microsoft Graph's, for the groups of a person.
    MemberObjects,
    /// A path that does not exist here.
    Unknown,
}

/// The grant that an ID token is issued for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantKind {
    Code,
    Refresh,
}

/// An ID token before it is signed.
pub struct IdToken {
    /// The JOSE header: `typ`, `alg` and `kid`. The signature is RS256 whatever `alg` says.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
    /// Whose signature it gets.
    pub signature: Signature,
}

/// Whose signature an ID token gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// That of the published key.
    Own,
    /// That of a key nobody knows, while the header still names the published one.
    Stranger,
    /// None: the third part of the JWT is empty.
    Absent,
}

/// An answer in the identity provider's place.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This answer as it stands. Headers that HTTP does not allow are left out.
    Http { status: u16, headers: Vec<(String, String)>, body: String },
    /// An error in the format of the face: JSON, or a page at the authorization endpoint. The face for
    /// OpenID Connect leaves the AADSTS code out.
    Error { status: u16, error: String, aadsts: u32, description: String },
    /// At the authorization endpoint, once client and redirect URI have been verified, a redirect back to
    /// the client with an error (RFC 6749 §4.1.2.1). Elsewhere the same as an error with status 400.
    Redirect { error: String, aadsts: u32, description: String },
}

impl Reply {
    /// 503 without a body that means anything.
    pub fn down() -> Self {
        Self::Http { status: 503, headers: Vec::new(), body: "Service unavailable".to_owned() }
    }

    /// 429 with `Retry-After` in seconds.
    pub fn throttled(retry_after: u32) -> Self {
        let headers = vec![("retry-after".to_owned(), retry_after.to_string())];
        Self::Http { status: 429, headers, body: String::new() }
    }

    /// 200 and a body that says it is JSON and is not.
    pub fn garbage() -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self::Http { status: 200, headers, body: "{\"access_token\":".to_owned() }
    }

    /// 400 with an error of the identity provider.
    pub fn error(error: &str, aadsts: u32, description: &str) -> Self {
        let (error, description) = (error.to_owned(), description.to_owned());
        Self::Error { status: 400, error, aadsts, description }
    }

    /// What Entra redirects with when the person declines the consent.
    pub fn denied() -> Self {
        Self::Redirect {
            error: "access_denied".to_owned(),
            aadsts: 65004,
            description: "User declined to consent to access the app.".to_owned(),
        }
    }
}

/// A request as it arrived.
#[derive(Clone)]
pub struct Seen {
    pub endpoint: Endpoint,
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The parameters of the query, then those of the form, in the order sent.
    pub params: Vec<(String, String)>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Seen {
    /// The first value of a parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Names only: the values are codes, tokens and secrets.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<_> = self.params.iter().map(|(name, _)| name).collect();
        f.debug_struct("Seen")
            .field("endpoint", &self.endpoint)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("params", &params)
            .finish_non_exhaustive()
    }
}
