//! Whether an ID token holds.

use std::str::FromStr;
use std::time::Duration;
use std::time::SystemTime;

use openidconnect::AccessToken;
use openidconnect::AccessTokenHash;
use openidconnect::ClaimsVerificationError;
use openidconnect::ClientId;
use openidconnect::IdToken;
use openidconnect::IdTokenVerifier;
use openidconnect::IssuerUrl;
use openidconnect::Nonce;
use openidconnect::SignatureVerificationError;
use openidconnect::core::CoreGenderClaim;
use openidconnect::core::CoreJsonWebKeySet;
use openidconnect::core::CoreJweContentEncryptionAlgorithm;
use openidconnect::core::CoreJwsSigningAlgorithm;

use crate::domain::time::Timestamp;
use crate::ports::idp::UpstreamError;

use super::claims::Claims;
use super::claims::OtherClaims;
use super::failure::invalid;
use super::key_set::KeySet;
use super::realm::Realm;

/// How far the provider's clock may be from ours.
const SKEW: Duration = Duration::from_secs(120);

type Token =
    IdToken<OtherClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

/// What an ID token has to say.
pub(super) struct Expected<'a> {
    pub client_id: &'a str,
    pub realm: &'a Realm,
    /// As the metadata have it.
    pub issuer: &'a str,
    /// `None` for a refresh: a nonce belongs to a request of the browser's (OpenID Connect Core 1.0 §12.2).
    pub nonce: Option<&'a str>,
    /// The access token beside it, for `at_hash`.
    pub access_token: &'a str,
    pub now: Timestamp,
}

/// Why an ID token is not accepted.
pub(super) enum Doubt {
    /// It is signed by a key that is not in the key set: a newer key set may have it.
    UnknownKey,
    Certain(UpstreamError),
}

/// Validates an ID token (OpenID Connect Core 1.0 §3.1.3.7).
///
/// The issuer is compared here, after the signature, and not by the verifier, which would look at it
/// first: that somebody else vouched is a conclusion that ends sessions, so it needs a signature.
pub(super) fn verify(token: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<Claims, Doubt> {
    let certain = |error| Err(Doubt::Certain(error));
    let Ok(token) = Token::from_str(token) else {
        return certain(invalid("what it sent is not an ID token"));
    };
    let Some(verifier) = verifier(&keys.keys, expected) else {
        return certain(invalid("its issuer is not a URL"));
    };
    let claims = token.claims(&verifier, is_nonce(expected.nonce)).map_err(doubt)?;
    let issuer = expected.realm.issuer_of(expected.issuer, claims).map_err(Doubt::Certain)?;
    let key = token.signing_key(&verifier);
    if !key.is_ok_and(|key| keys.is_for(key, |of| expected.realm.is_issuer(of, &issuer, claims))) {
        return certain(invalid("the ID token is signed by a key that is for another issuer"));
    }
    if claims.authorized_party().is_some_and(|party| party.as_str() != expected.client_id) {
        return certain(invalid("the ID token was issued to another application"));
    }
    #[allow(clippy::cast_precision_loss, reason = "seconds of this age fit a double exactly")]
    if claims.additional_claims().nbf.is_some_and(|nbf| nbf > expected.now.plus(SKEW).0 as f64) {
        return certain(invalid("the ID token is not valid yet"));
    }
    if !is_beside(&token, claims, &verifier, expected.access_token) {
        return certain(invalid("the ID token came with another access token"));
    }
    Ok(claims.clone())
}

fn verifier<'a>(keys: &CoreJsonWebKeySet, expected: &Expected<'a>) -> Option<Verifier<'a>> {
    // It is not compared there, and a template is no URL.
    let issuer = IssuerUrl::new(expected.realm.address().to_owned()).ok()?;
    let now = expected.now;
    // `exp` must lie after this instant: the skew is given to the token. The verifier wants the instant
    // in a type of another crate's, which the standard library's converts into.
    let seconds = u64::try_from(now.0).ok()?.saturating_sub(SKEW.as_secs());
    let judged_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    // A public client's verifier accepts no MAC: the client secret is not a key to vouch with.
    let verifier = IdTokenVerifier::new_public_client(
        ClientId::new(expected.client_id.to_owned()),
        issuer,
        keys.clone(),
    )
    .require_issuer_match(false)
    .set_allowed_algs(ALGORITHMS)
    .set_time_fn(move || judged_at.into())
    .set_issue_time_verifier_fn(move |issued| {
        if issued.timestamp() <= now.plus(SKEW).0 { Ok(()) } else { Err(String::new()) }
    });
    Some(verifier)
}

type Verifier<'a> = IdTokenVerifier<'a, openidconnect::core::CoreJsonWebKey>;

/// Everything asymmetric that the crate verifies. A key is used only with an algorithm of its own type.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

fn is_nonce(expected: Option<&str>) -> impl FnOnce(Option<&Nonce>) -> Result<(), String> {
    move |sent| match (expected, sent) {
        (None, _) => Ok(()),
        // Ours was in a URL and is of no use without the browser: no constant time is needed.
        (Some(expected), Some(sent)) if sent.secret() == expected => Ok(()),
        (Some(_), _) => Err(String::new()),
    }
}

/// Whether `at_hash`, if there is one, is the access token's (OpenID Connect Core 1.0 §3.1.3.8).
fn is_beside(token: &Token, claims: &Claims, verifier: &Verifier<'_>, access_token: &str) -> bool {
    let Some(sent) = claims.access_token_hash() else {
        return true;
    };
    let (Ok(algorithm), Ok(key)) = (token.signing_alg(), token.signing_key(verifier)) else {
        return false;
    };
    AccessTokenHash::from_token(&AccessToken::new(access_token.to_owned()), algorithm, key)
        .is_ok_and(|hash| hash.as_str() == sent.as_str())
}

fn doubt(error: ClaimsVerificationError) -> Doubt {
    use ClaimsVerificationError as E;
    Doubt::Certain(invalid(match error {
        E::SignatureVerification(SignatureVerificationError::NoMatchingKey) => return Doubt::UnknownKey,
        E::SignatureVerification(_) => "the signature of the ID token does not hold",
        E::Expired(_) => "the ID token has expired, or is from the future",
        E::InvalidAudience(_) => "the ID token is for another application",
        E::InvalidNonce(_) => "the ID token belongs to another sign-in",
        _ => "the ID token is of a kind that is not accepted",
    }))
}
