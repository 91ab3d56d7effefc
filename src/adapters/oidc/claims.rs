//! What an ID token says.

use openidconnect::AdditionalClaims;
use openidconnect::IdTokenClaims;
use openidconnect::core::CoreGenderClaim;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

/// The claims of an ID token.
pub(super) type Claims = IdTokenClaims<OtherClaims, CoreGenderClaim>;

/// Claims that OpenID Connect Core 1.0 does not define.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct OtherClaims {
    /// RFC 7519 §4.1.5. A fraction is allowed (§2, `NumericDate`).
    pub nbf: Option<f64>,
    /// Whether the account is a member of the tenant (0) or a guest (1), where the registration asks for that.
    pub acct: Option<Value>,
    pub tid: Option<String>,
    pub oid: Option<String>,
    pub roles: Option<Names>,
    pub groups: Option<Names>,
    pub hasgroups: Option<Value>,
    /// Claims that are to be fetched from somewhere else (OpenID Connect Core 1.0 §5.6.2).
    #[serde(rename = "_claim_names")]
    pub claim_names: Option<Map<String, Value>>,
}

impl AdditionalClaims for OtherClaims {}

/// A list of names; some providers write a list of one as a string.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Names {
    Many(Vec<String>),
    One(String),
}

impl Names {
    pub(super) fn to_vec(names: Option<&Self>) -> Vec<String> {
        match names {
            None => Vec::new(),
            Some(Self::Many(names)) => names.clone(),
            Some(Self::One(name)) => vec![name.clone()],
        }
    }
}
