//! Verifying an access token at the gateway (RFC 9068 §4): signature, audience, time, grant.

use crate::domain::access_token::Caller;
use crate::domain::access_token::UnverifiedClaims;
use crate::domain::resource::Resource;
use crate::flows::AuthServer;
use crate::flows::grants::Standing;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::protocol::error::ErrorCode;

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
            Self::StoreAway => row(
                "store_away",
                ErrorCode::TemporarilyUnavailable,
                "The server's store does not answer at the moment. Try again.",
            ),
        }
    }
}

impl AuthServer {
    /// The caller behind a token for `resource`.
    pub async fn verify(&self, token: &str, resource: &Resource) -> Result<Caller, Reason> {
        let now = self.now();
        let claims: UnverifiedClaims = self.signing_keys().verify(token, now).map_err(|_| Reason::NotOurs)?;
        if claims.iss != self.policy().issuer.as_str() {
            return Err(Reason::AnotherIssuer);
        }
        if claims.aud != resource.identifier {
            return Err(Reason::AnotherAudience);
        }
        if now >= claims.exp {
            return Err(Reason::Expired);
        }
        if now.0 + CLOCK_SKEW < claims.nbf.0 {
            return Err(Reason::NotYet);
        }
        let (user, grant) = claims.grant().ok_or(Reason::NotOurs)?;
        match self.standing(user, grant).await {
            Ok(Standing::Alive) => Ok(Caller::vouched(claims)),
            Ok(Standing::Ended) => Err(Reason::Revoked),
            Ok(Standing::Blocked) => Err(Reason::ClientBlocked),
            Err(_) => Err(Reason::StoreAway),
        }
    }
}
