//! `private_key_jwt`: a client proves who it is by a JWT that it signs (OpenID Connect Core 1.0 §9, RFC 7523 §3).

use std::time::Duration;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;

use crate::domain::client_keys::ClientKeys;
use crate::domain::client_keys::NotSigned;
use crate::domain::client_keys::served_alg;
use crate::domain::time::Timestamp;
use crate::protocol::client_auth::Assertion;

/// An assertion that would hold for longer is refused: it is made for one request.
pub const MAX_LIFETIME: Duration = Duration::from_secs(300);

/// How far the client's clock may be off.
pub const SKEW: Duration = Duration::from_secs(30);

const MAX_JTI_CHARS: usize = 256;

/// What tells one assertion of a client from another: a hash of its `jti`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AssertionId(pub [u8; 16]);

/// An assertion that holds, if it was not presented before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    pub id: AssertionId,
    /// Its `exp`. It is accepted for [`SKEW`] longer, and has to be remembered until then.
    pub expires_at: Timestamp,
}

/// Why an assertion does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotVerified {
    /// All else that was judged holds, and no key of the set may have signed it: the client may have new keys.
    UnknownKey,
    /// What is wrong, for the log.
    Invalid(&'static str),
}

/// The header's members that count. Keys that it brings along (`jwk`, `jku`, `x5c`, `x5u`) do not.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Header {
    alg: Member,
    crit: Member,
    kid: Member,
    typ: Member,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Claims {
    aud: Member,
    exp: Member,
    iat: Member,
    iss: Member,
    jti: Member,
    nbf: Member,
    sub: Member,
}

/// A member as it stands there, if it does: `null` is not the same as nothing.
#[derive(Default)]
struct Member(Option<Value>);

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}

impl Member {
    fn text(&self) -> Option<&str> {
        self.0.as_ref()?.as_str()
    }

    /// A `NumericDate` (RFC 7519 §2), rounded down.
    fn seconds(&self) -> Option<i64> {
        let number = self.0.as_ref()?;
        number.as_i64().or_else(|| whole(number.as_f64()?))
    }
}

/// Checks all but whether the assertion came before. `audiences` are the names of this server that may stand in `aud`.
///
/// Claims are judged by our own clock, as those of access tokens are, and before the signature: it costs most, and
/// nobody should have us fetch keys for what would not hold with any.
pub fn verify(
    assertion: &str,
    keys: &ClientKeys,
    client_id: &str,
    audiences: &[&str],
    now: Timestamp,
) -> Result<Verified, NotVerified> {
    let assertion = Assertion::split(assertion).ok_or(NotVerified::Invalid("form"))?;
    let header: Header = assertion.header().ok_or(NotVerified::Invalid("header"))?;
    let claims: Claims = assertion.payload().ok_or(NotVerified::Invalid("payload"))?;
    let alg = header.alg.text().and_then(served_alg).ok_or(NotVerified::Invalid("alg"))?;
    header.judge().map_err(NotVerified::Invalid)?;
    let verified = claims.judge(client_id, audiences, now).map_err(NotVerified::Invalid)?;
    keys.check(assertion, alg, header.kid.text()).map_err(|why| match why {
        NotSigned::UnknownKey => NotVerified::UnknownKey,
        NotSigned::Signature => NotVerified::Invalid("signature"),
    })?;
    Ok(verified)
}

impl Header {
    fn judge(&self) -> Result<(), &'static str> {
        // We understand no extension, so there is none that we could be told to understand (RFC 7515 §4.1.11).
        if self.crit.0.is_some() {
            return Err("crit");
        }
        if self.kid.0.is_some() && self.kid.text().is_none() {
            return Err("kid");
        }
        if self.typ.0.is_some() && !self.typ.text().is_some_and(is_served_type) {
            return Err("typ");
        }
        Ok(())
    }
}

impl Claims {
    fn judge(&self, client_id: &str, audiences: &[&str], now: Timestamp) -> Result<Verified, &'static str> {
        if self.iss.text() != Some(client_id) || self.sub.text() != Some(client_id) {
            return Err("iss or sub");
        }
        if !self.is_for(audiences) {
            return Err("aud");
        }
        let expires_at = self.judge_times(now)?;
        let jti = self.jti.text().filter(|jti| (1..=MAX_JTI_CHARS).contains(&jti.chars().count()));
        let digest: [u8; 32] = Sha256::digest(jti.ok_or("jti")?).into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Ok(Verified { id: AssertionId(id), expires_at })
    }

    /// For us and nobody else: an assertion that another server would accept as well could have come from there.
    fn is_for(&self, audiences: &[&str]) -> bool {
        let is_ours = |name: &Value| name.as_str().is_some_and(|name| audiences.contains(&name));
        match &self.aud.0 {
            Some(Value::Array(names)) => !names.is_empty() && names.iter().all(is_ours),
            Some(name) => is_ours(name),
            None => false,
        }
    }

    /// Judges `exp`, `iat` and `nbf`; returns `exp`.
    fn judge_times(&self, now: Timestamp) -> Result<Timestamp, &'static str> {
        let exp = self.exp.seconds().map(Timestamp).ok_or("exp")?;
        let has_begun = |member: &Member| match (&member.0, member.seconds()) {
            (None, _) => true,
            (Some(_), seconds) => seconds.is_some_and(|begin| Timestamp(begin) <= now.plus(SKEW)),
        };
        if exp.plus(SKEW) <= now {
            return Err("exp has passed");
        }
        if exp > now.plus(MAX_LIFETIME + SKEW) {
            return Err("exp is too far ahead");
        }
        if !has_begun(&self.nbf) {
            return Err("nbf");
        }
        if !has_begun(&self.iat) {
            return Err("iat");
        }
        if self
            .iat
            .seconds()
            .is_some_and(|iat| exp.0 < iat || exp.since(Timestamp(iat)) > MAX_LIFETIME + SKEW)
        {
            return Err("iat is too far from exp");
        }
        Ok(exp)
    }
}

/// Explicit types are those of RFC 7519 §5.1 and of draft-ietf-oauth-rfc7523bis; others are of other tokens.
fn is_served_type(typ: &str) -> bool {
    let name = typ.to_ascii_lowercase();
    matches!(name.strip_prefix("application/").unwrap_or(&name), "jwt" | "client-authentication+jwt")
}

/// The whole part of a number that a date can be.
fn whole(number: f64) -> Option<i64> {
    const FARTHEST: f64 = 1e12;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and far from the ends of i64")]
    (number.abs() < FARTHEST).then(|| number.floor() as i64)
}

#[cfg(test)]
mod tests;
