use axum::http::HeaderMap;
use axum::http::header;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::PoisonError;

use secrecy::ExposeSecret;

use super::Idp;
use super::face::Site;
use super::fault::Fault;
use super::form::Params;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Authenticates the client at the token endpoint: `client_secret_basic`, `client_secret_post`, or a JWT
/// assertion that a credential of the client or the script accepts. Exactly one of them (RFC 6749 §2.3).
pub(super) fn authenticate(
    idp: &Idp,
    site: &Site,
    headers: &HeaderMap,
    params: &Params,
) -> Result<(), Fault> {
    let basic = headers.get(header::AUTHORIZATION).map(|value| basic(value.as_bytes()));
    let (id, proof) = match (basic, params.get("client_secret"), params.get("client_assertion")) {
        (Some(Some((id, secret))), None, None) => {
            if params.get("client_id").is_some_and(|other| other != id) {
                return Err(Fault::invalid("client_id"));
            }
            (id, Proof::Secret(secret))
        }
        (Some(None), None, None) => return Err(Fault::wrong_secret()),
        (None, Some(secret), None) => (client_id(params)?, Proof::Secret(secret.to_owned())),
        (None, None, Some(assertion)) => {
            if params.get("client_assertion_type") != Some(JWT_BEARER) {
                return Err(Fault::invalid("client_assertion_type"));
            }
            (client_id(params)?, Proof::Assertion(assertion.to_owned()))
        }
        (None, None, None) => (client_id(params)?, Proof::None),
        _ => return Err(Fault::invalid("client_secret")),
    };
    if id != idp.options.client_id {
        return Err(Fault::unknown_client());
    }
    match proof {
        Proof::Secret(secret) if is_secret(idp, &secret) => Ok(()),
        Proof::Secret(_) => Err(Fault::wrong_secret()),
        Proof::Assertion(assertion) if idp.options.script.client_assertion(&assertion) => Ok(()),
        Proof::Assertion(assertion) => {
            idp.credentials.judge(&assertion, &id, &site.token_endpoint(), idp.now())
        }
        Proof::None => Err(Fault::no_client_authentication()),
    }
}

enum Proof {
    Secret(String),
    Assertion(String),
    None,
}

fn client_id(params: &Params) -> Result<String, Fault> {
    params.required("client_id").map(str::to_owned)
}

fn is_secret(idp: &Idp, presented: &str) -> bool {
    let secret = idp.client_secret.lock().unwrap_or_else(PoisonError::into_inner);
    let secret = secret.expose_secret().as_bytes();
    aws_lc_rs::constant_time::verify_slices_are_equal(secret, presented.as_bytes()).is_ok()
}

/// Identifier and password of HTTP Basic, each form-encoded before they were joined (RFC 6749 §2.3.1).
fn basic(value: &[u8]) -> Option<(String, String)> {
    let (scheme, credentials) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let joined = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

/// One form-encoded text. A separator that is not encoded shows that the sender forgot to encode at all.
fn form_decoded(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        return None;
    }
    url::form_urlencoded::parse(text.as_bytes()).next().map(|(decoded, _)| decoded.into_owned())
}
