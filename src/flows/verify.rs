//! Verifying an access token at the gateway (RFC 9068 §4): signature, audience, time, grant. API keys are read beside, in
//! `verify_key`, and end here too.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use sha2::Digest;
use sha2::Sha256;

use crate::domain::access_token::UnverifiedClaims;
use crate::domain::resource::Resource;
use crate::domain::signing_keys::SigningKeys;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::caller::Basis;
use crate::flows::caller::Caller;
use crate::flows::caller::Credential;
use crate::flows::caller::NotVerified;
use crate::flows::caller::Reason;
use crate::flows::standing::Standing;

/// Bytes of tokens whose signature need not be checked again: some 60,000, where no groups are in them.
const REMEMBERED: u64 = 64 * 1024 * 1024;

/// Seconds by which another replica's clock may be ahead of ours.
const CLOCK_SKEW: i64 = 60;

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
        let caller = match credential.claims().judge(resource, now) {
            Ok(()) => self.caller_of(&credential).await,
            Err(reason) => Err(reason),
        };
        caller.map_err(|reason| credential.not_verified(reason))
    }

    /// Whose a credential is, as far as is known. The time of an access token is not looked at.
    pub(in crate::flows) async fn caller_of(&self, credential: &Arc<Credential>) -> Result<Caller, Reason> {
        match credential.basis() {
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
        if verified.claims().aud == resource.identifier {
            cache.insert(hash, (Arc::clone(&verified), keys));
        }
        Ok(verified)
    }
}
