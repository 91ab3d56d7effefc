//! The identity provider: where people sign in, and who vouches for them afterwards.

use async_trait::async_trait;
use secrecy::SecretString;
use thiserror::Error;
use url::Url;

use crate::domain::person::Person;
use crate::domain::time::Timestamp;
use crate::protocol::pkce::CodeChallenge;

/// One sign-in that we ask for. Everything in it is ours; nothing is copied from a client.
#[derive(Clone, Debug)]
pub struct SignInRequest {
    pub state: String,
    pub nonce: String,
    pub code_challenge: CodeChallenge,
    /// An e-mail address to begin with.
    pub login_hint: Option<String>,
    /// Ask for proof now, whatever session the person has there (`prompt=login`).
    pub reauthenticate: bool,
    /// Ask for proof that is at most this old, in seconds.
    pub max_age: Option<u32>,
}

/// The provider's answer at our redirect URI, and what we remember of our question.
pub struct SignInAnswer {
    pub code: SecretString,
    pub code_verifier: SecretString,
    pub nonce: String,
}

/// A person for whom the provider vouches: the ID token was validated whole.
#[derive(Debug)]
pub struct SignedIn {
    pub person: Person,
    pub refresh_token: Option<SecretString>,
}

/// The provider accepted the refresh token.
#[derive(Debug)]
pub struct Refreshed {
    /// For whom it vouched: nobody by name where it sends no ID token with a refresh (OpenID Connect
    /// Core 1.0 §12.2), an error where the one it sent does not hold or could not be judged.
    pub person: Result<Option<Person>, UpstreamError>,
    /// A new one, where the provider rotates. It counts whatever became of the ID token: the old one
    /// may be spent.
    pub refresh_token: Option<SecretString>,
}

/// What the provider named, for the audit trail and the person; never for clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamReason {
    /// What happened, in our words.
    pub what: &'static str,
    /// `AADSTS…`, without the prefix.
    pub code: Option<u32>,
    /// A GUID.
    pub correlation_id: Option<String>,
    /// What the code means to the person and who has to act, in our words.
    pub explanation: Option<&'static str>,
    /// Where an administrator of the tenant consents for everybody, if that is what is missing.
    pub admin_consent: Option<Box<Url>>,
}

/// Why the provider did not vouch for anybody.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UpstreamError {
    /// The person declined there.
    #[error("the person declined at the identity provider: {}", .0.what)]
    Declined(UpstreamReason),
    /// It does not let the person in: not assigned, blocked by a policy, not consented to.
    #[error("the identity provider does not let the person in: {}", .0.what)]
    Denied(UpstreamReason),
    /// The session there has ended, or needs the person: `invalid_grant`, `interaction_required`.
    #[error("the identity provider has ended the session: {}", .0.what)]
    Ended(UpstreamReason),
    /// It answered, but not for whom or by whom it was asked: another issuer or tenant.
    #[error("the identity provider vouched for somebody else: {}", .0.what)]
    SomebodyElse(UpstreamReason),
    /// It vouched for a guest of the tenant, and guests are not let in.
    #[error("the identity provider vouched for a guest: {}", .0.what)]
    Guest(UpstreamReason),
    /// It does not say whether it vouched for a guest, and guests are not let in.
    #[error("the identity provider does not say who is a guest: {}", .0.what)]
    GuestUnknown(UpstreamReason),
    /// Its answer does not hold: signature, nonce, audience, expiry.
    #[error("the identity provider's answer does not hold: {}", .0.what)]
    Invalid(UpstreamReason),
    /// It refuses us: our registration there is wrong.
    #[error("the identity provider refuses this service: {}", .0.what)]
    Refused(UpstreamReason),
    /// It cannot be reached, is busy or failing. The same request may succeed later.
    #[error("the identity provider is away: {}", .0.what)]
    Away(UpstreamReason),
}

impl UpstreamError {
    /// What the provider named.
    #[must_use]
    pub fn reason(&self) -> &UpstreamReason {
        match self {
            Self::Declined(reason)
            | Self::Denied(reason)
            | Self::Ended(reason)
            | Self::SomebodyElse(reason)
            | Self::Guest(reason)
            | Self::GuestUnknown(reason)
            | Self::Invalid(reason)
            | Self::Refused(reason)
            | Self::Away(reason) => reason,
        }
    }
}

/// An OpenID provider, with its quirks behind it.
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// Whether a refresh token may be spent by the use of it, so that two who use the same are taken for thieves.
    fn rotates(&self) -> bool;

    /// Where to send the browser.
    async fn sign_in_url(&self, request: &SignInRequest) -> Result<Url, UpstreamError>;

    /// What the provider means that sends the browser back with an error (RFC 6749 §4.1.2.1). Nothing of
    /// either text is in the answer.
    fn explain(&self, error: &str, description: &str) -> UpstreamError;

    /// Redeems the code and validates the ID token: signature, issuer and tenant, audience, expiry,
    /// nonce. `now` is the time to judge by.
    async fn redeem(&self, answer: SignInAnswer, now: Timestamp) -> Result<SignedIn, UpstreamError>;

    /// Asks whether the person is still welcome.
    async fn refresh(&self, token: &SecretString, now: Timestamp) -> Result<Refreshed, UpstreamError>;

    /// All groups of a person who is in too many for an ID token (`Person::groups` is absent). Only a provider that does
    /// not rotate its tokens has such people.
    ///
    /// `Away`, when the same may succeed later; any other error, when nobody will learn them so.
    async fn groups(&self, token: &SecretString) -> Result<Vec<String>, UpstreamError>;
}
