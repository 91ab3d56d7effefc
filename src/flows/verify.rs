//! Verifying an access token at the gateway (RFC 9068 §4): signature, audience, time, grant. API keys are read beside, in
//! `verify_key`, and end here too.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use sha2::Digest;
use sha2::Sha256;

use crate::domain::access_token::UnverifiedClaims;
use crate::domain::allowed::Lacking;
use crate::domain::api_key::PresentedKey;
use crate::domain::client::ClientId;
use crate::domain::grant::GrantId;
use crate::domain::person::UserKey;
use crate::domain::resource::Resource;
use crate::domain::signing_keys::SigningKeys;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::RefusedClient;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::flows::standing::Holder;
use crate::flows::standing::Standing;
use crate::flows::verify_key::KeyRefused;
use crate::protocol::error::ErrorCode;
use crate::protocol::scope::Scopes;

/// Bytes of tokens whose signature need not be checked again: some 60,000, where no groups are in them.
const REMEMBERED: u64 = 64 * 1024 * 1024;

/// Seconds by which another replica's clock may be ahead of ours.
const CLOCK_SKEW: i64 = 60;

/// Why a token is refused.
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

    fn size(&self) -> u32 {
        // What it says, the scopes once more, and what a cache has for each.
        u32::try_from(self.claims.size() + 2 * self.claims.scope.len() + 512).unwrap_or(u32::MAX)
    }
}

/// Tokens whose signature was checked, by their hash, so that no token lies in memory. The keys that were then known
/// stand beside each: when they change, it is checked again, for one of them may have been dropped.
pub(in crate::flows) struct VerifiedTokens(Cache<[u8; 32], (Arc<Credential>, Arc<SigningKeys>)>);

impl Default for VerifiedTokens {
    fn default() -> Self {
        let size = |_: &_, (token, _): &(Arc<Credential>, _)| token.size();
        // Expiry is judged at each use; idleness only frees memory.
        let cache = Cache::builder().weigher(size).max_capacity(REMEMBERED);
        Self(cache.time_to_idle(Duration::from_mins(10)).build())
    }
}

impl UnverifiedClaims {
    /// What is judged each time, of a token whose signature was checked before too.
    fn judge(&self, resource: &Resource, now: Timestamp) -> Result<(), Reason> {
        if self.aud != resource.identifier {
            return Err(Reason::AnotherAudience);
        }
        if now >= self.exp {
            return Err(Reason::Expired);
        }
        if now.0 + CLOCK_SKEW < self.nbf.0 {
            return Err(Reason::NotYet);
        }
        Ok(())
    }
}

impl AuthServer {
    /// The caller behind a token for `resource`.
    pub async fn verify(&self, token: &str, resource: &Resource) -> Result<Caller, NotVerified> {
        let now = self.now();
        let verified = self.verified_token(token, resource, now);
        let credential = verified.map_err(|reason| NotVerified { reason, whose: None, key: false })?;
        let caller = match credential.claims.judge(resource, now) {
            Ok(()) => self.caller_of(&credential).await,
            Err(reason) => Err(reason),
        };
        caller.map_err(|reason| credential.not_verified(reason))
    }

    /// Whose a credential is, as far as is known. The time of an access token is not looked at.
    pub(in crate::flows) async fn caller_of(&self, credential: &Arc<Credential>) -> Result<Caller, Reason> {
        match credential.basis {
            Basis::Grant(user, grant) => match self.standing(user, grant).await {
                Ok(Standing::Alive(holder)) => Ok(Caller { credential: Arc::clone(credential), holder }),
                Ok(Standing::Ended) => Err(Reason::Revoked),
                Ok(Standing::Blocked) => Err(Reason::ClientBlocked),
                Ok(Standing::Lacking(what)) => Err(Reason::Lacking(what)),
                Err(_) => Err(Reason::StoreAway),
            },
            Basis::Key(presented) => self.caller_of_key(&presented).await,
        }
    }

    fn verified_token(
        &self,
        token: &str,
        resource: &Resource,
        now: Timestamp,
    ) -> Result<Arc<Credential>, Reason> {
        let cache = &self.0.verified_tokens.0;
        let (hash, keys) = (Sha256::digest(token).into(), self.signing_keys());
        if let Some((verified, by)) = cache.get(&hash)
            && Arc::ptr_eq(&by, &keys)
        {
            return Ok(verified);
        }
        let claims: UnverifiedClaims = keys.verify(token, now).map_err(|_| Reason::NotOurs)?;
        if claims.iss != self.policy().issuer.as_str() {
            return Err(Reason::AnotherIssuer);
        }
        let (user, grant) = claims.grant().ok_or(Reason::NotOurs)?;
        let verified = Arc::new(Credential::new(claims, resource, Basis::Grant(user, grant)));
        // A token that another resource will refuse is not kept: its scopes would be judged by the wrong rules.
        if verified.claims.aud == resource.identifier {
            cache.insert(hash, (Arc::clone(&verified), keys));
        }
        Ok(verified)
    }
}
