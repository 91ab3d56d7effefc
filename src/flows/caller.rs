//! Who calls: the credential that an access token or an API key is, whoever holds it, and why one is refused.

use std::fmt;
use std::sync::Arc;

use crate::domain::access_token::UnverifiedClaims;
use crate::domain::allowed::Lacking;
use crate::domain::api_key::KeyEnd;
use crate::domain::api_key::PresentedKey;
use crate::domain::client::ClientId;
use crate::domain::grant::GrantId;
use crate::domain::person::UserKey;
use crate::domain::resource::Resource;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::RefusedClient;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::flows::standing::Holder;
use crate::protocol::error::ErrorCode;
use crate::protocol::scope::Scopes;

/// A caller whose credential holds: an access token with signature, audience, time, and a grant that is not revoked; or
/// an API key that is none either.
#[derive(Clone)]
pub struct Caller {
    pub credential: Arc<Credential>,
    pub holder: Arc<Holder>,
}

/// What stands behind a credential, and may end before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::flows) enum Basis {
    Grant(UserKey, GrantId),
    Key(PresentedKey),
}

/// What a credential of ours says. Only what verifies one makes it.
pub struct Credential {
    claims: UnverifiedClaims,
    /// With all that they stand for.
    scopes: Scopes,
    user: UserKey,
    basis: Basis,
}

impl Credential {
    /// Of an access token that was verified, or of an API key that was found.
    pub(in crate::flows) fn new(claims: UnverifiedClaims, resource: &Resource, basis: Basis) -> Self {
        let user = match basis {
            Basis::Grant(user, _) => user,
            Basis::Key(key) => key.id.user_key(),
        };
        Self { scopes: resource.implied.with_implied(&Scopes::parse(&claims.scope)), claims, user, basis }
    }

    /// What it says.
    #[must_use]
    pub fn claims(&self) -> &UnverifiedClaims {
        &self.claims
    }

    /// Its scopes, with all that they stand for.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Whose it is, and whose requests are counted together.
    #[must_use]
    pub fn user(&self) -> UserKey {
        self.user
    }

    /// What it comes from.
    pub(in crate::flows) fn basis(&self) -> Basis {
        self.basis
    }

    /// Whether it is an API key, and nobody signed in for it.
    #[must_use]
    pub fn is_key(&self) -> bool {
        matches!(self.basis, Basis::Key(_))
    }

    /// Whose it is, as the audit trail names them: `tid:oid`, or `oidc:` and another provider's `sub`, or `key:` and
    /// the name of an API key; and with which client.
    #[must_use]
    pub fn named(&self) -> RefusedClient {
        let client = ClientId::named(self.claims.client_id.clone()).digest();
        RefusedClient {
            client: (!self.is_key()).then_some(client),
            subject: Some(self.claims.subject_key()),
            ..RefusedClient::default()
        }
    }

    /// It is not good, or not any more.
    #[must_use]
    pub fn not_verified(&self, reason: Reason) -> NotVerified {
        NotVerified { reason, whose: Some(self.named()), key: self.is_key() }
    }

    /// Bytes that it takes in memory, roughly.
    pub(in crate::flows) fn size(&self) -> u32 {
        // What it says, the scopes once more, and what a cache has for each.
        u32::try_from(self.claims.size() + 2 * self.claims.scope.len() + 512).unwrap_or(u32::MAX)
    }
}

/// Why a credential is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    NotOurs,
    AnotherIssuer,
    AnotherAudience,
    Expired,
    NotYet,
    Revoked,
    ClientBlocked,
    /// The token is good, and the resource asks for more.
    Lacking(Lacking),
    Key(KeyRefused),
    StoreAway,
}

impl Refusal for Reason {
    fn row(self) -> Row {
        use ErrorCode::InvalidToken;
        match self {
            Self::NotOurs => {
                row("token_not_ours", InvalidToken, "This is not an access token of this server.")
            }
            Self::AnotherIssuer => {
                row("token_of_another_issuer", InvalidToken, "The access token has another issuer.")
            }
            Self::AnotherAudience => {
                row("token_for_another_resource", InvalidToken, "The access token is for another resource.")
            }
            Self::Expired => row("token_expired", InvalidToken, "The access token has expired."),
            Self::NotYet => row("token_not_yet_valid", InvalidToken, "The access token is not valid yet."),
            Self::Revoked => {
                row("token_revoked", InvalidToken, "The session has been revoked. Sign in again.")
            }
            Self::ClientBlocked => row(
                "client_blocked",
                InvalidToken,
                "Whoever runs this server has blocked this client. Signing in again will not help.",
            ),
            Self::Lacking(what) => what.row(),
            Self::Key(why) => why.row(),
            Self::StoreAway => row(
                "store_away",
                ErrorCode::TemporarilyUnavailable,
                "The server's store does not answer at the moment. Try again.",
            ),
        }
    }
}

/// Why an API key is refused. Whoever presents one is told the same of all: what somebody has found or guessed is not
/// explained to them, and its owner finds the reason in the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefused {
    /// The resource takes none.
    Off,
    Mistyped,
    NotOurs,
    AnotherResource,
    Ended(KeyEnd),
}

impl Refusal for KeyRefused {
    fn row(self) -> Row {
        let name = match self {
            Self::Off => "keys_off",
            Self::Mistyped => "key_mistyped",
            Self::NotOurs => "key_not_ours",
            Self::AnotherResource => "key_for_another_resource",
            Self::Ended(KeyEnd::Revoked) => "key_revoked",
            Self::Ended(KeyEnd::Expired) => "key_expired",
            Self::Ended(KeyEnd::Replaced) => "key_replaced",
            Self::Ended(KeyEnd::Unknown) => "key_unknown",
        };
        row(
            name,
            ErrorCode::InvalidToken,
            "This API key is not taken here. Whoever runs this server finds out why in its log, by the X-Request-Id of this answer.",
        )
    }
}

/// A refusal, and whose credential it was where it is one of ours.
pub struct NotVerified {
    pub reason: Reason,
    pub whose: Option<RefusedClient>,
    /// Whether it is an API key.
    pub key: bool,
}

impl fmt::Debug for NotVerified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}
