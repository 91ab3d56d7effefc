use url::Url;
use uuid::Uuid;

use crate::domain::person::Subject;
use crate::ports::idp::UpstreamError;

use super::claims::Claims;
use super::claims::Names;
use super::failure::somebody_else;

/// Stands for the tenant in the metadata of an authority that serves many.
const PLACEHOLDER: &str = "{tenantid}";

/// The issuer of a tenant's version 2 tokens. Version 1 has another host and other claims, and is not
/// accepted.
pub(super) fn issuer(authority: &Url, tenant: &str) -> String {
    format!("{}/{tenant}/v2.0", authority.as_str().trim_end_matches('/'))
}

/// Whether the issuer in the metadata is this one, or a template of it.
pub(super) fn is_issuer(published: &str, issuer: &str, tenant: &str) -> bool {
    published.replace(PLACEHOLDER, tenant) == issuer
}

/// A GUID as Entra writes it, in lower case. `None` for the other ways to write one.
pub(super) fn guid(text: &str) -> Option<String> {
    let canonical = Uuid::try_parse(text).ok()?.to_string();
    canonical.eq_ignore_ascii_case(text).then_some(canonical)
}

/// Who it is: `tid` has to be the tenant, and `oid` has to be there (it needs the scope `profile`).
///
/// The issuer has the tenant in it and was compared; `tid` is what everything downstream goes by.
pub(super) fn subject(claims: &Claims, tenant: &str) -> Result<Subject, UpstreamError> {
    let other = claims.additional_claims();
    let tid = other.tid.as_deref().and_then(guid).filter(|tid| tid == tenant);
    let tid = tid.ok_or_else(|| somebody_else("the ID token is of another tenant"))?;
    let oid = other.oid.as_deref().and_then(guid);
    let oid = oid.ok_or_else(|| somebody_else("the ID token names no object of the tenant"))?;
    Ok(Subject::Entra { tid, oid })
}

/// The groups of a person, as far as a token has room for them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Groups {
    Listed(Vec<String>),
    /// More than fit (some 200): the token says where to ask. It is not the same as none, and whoever
    /// decides by groups must not take it for none.
    TooMany,
}

/// The groups that the token lists, or that it says it cannot.
pub(super) fn groups(claims: &Claims) -> Groups {
    let other = claims.additional_claims();
    let elsewhere = other.claim_names.as_ref().is_some_and(|names| names.contains_key("groups"));
    let flagged = other.hasgroups.as_ref().is_some_and(|flag| flag.as_bool() != Some(false));
    if elsewhere || flagged { Groups::TooMany } else { Groups::Listed(Names::to_vec(other.groups.as_ref())) }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::*;

    const TENANT: &str = "7d1b6f0a-0000-4000-8000-0000000000aa";
    const OBJECT: &str = "0a1c0de0-0000-4000-8000-000000000001";

    fn claims(other: Value) -> Claims {
        let mut all = json!({ "iss": "https://login.example", "aud": "a", "exp": 1, "iat": 1, "sub": "s" });
        all.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn the_issuer_is_of_the_tenant_or_a_template_of_it() {
        for authority in ["https://login.microsoftonline.com", "https://login.microsoftonline.com/"] {
            let issuer = issuer(&Url::parse(authority).unwrap(), TENANT);
            assert_eq!(issuer, format!("https://login.microsoftonline.com/{TENANT}/v2.0"));
            assert!(is_issuer(&issuer, &issuer, TENANT));
            assert!(is_issuer("https://login.microsoftonline.com/{tenantid}/v2.0", &issuer, TENANT));
            for other in [
                "https://sts.windows.net/{tenantid}/".to_owned(),
                "https://login.microsoftonline.us/{tenantid}/v2.0".to_owned(),
                format!("https://login.microsoftonline.com/{TENANT}/v2.0/"),
                format!("https://login.microsoftonline.com/{OBJECT}/v2.0"),
            ] {
                assert!(!is_issuer(&other, &issuer, TENANT), "{other}");
            }
        }
    }

    #[test]
    fn a_subject_is_two_guids_in_lower_case() {
        let upper = claims(json!({ "tid": TENANT.to_uppercase(), "oid": OBJECT.to_uppercase() }));
        let expected = Subject::Entra { tid: TENANT.into(), oid: OBJECT.into() };
        assert_eq!(subject(&upper, TENANT), Ok(expected));
        for other in [
            json!({ "oid": OBJECT }),
            json!({ "tid": TENANT }),
            json!({ "tid": TENANT, "oid": "" }),
            json!({ "tid": TENANT, "oid": "somebody" }),
            json!({ "tid": TENANT, "oid": format!("{{{OBJECT}}}") }),
            json!({ "tid": OBJECT, "oid": OBJECT }),
            json!({ "tid": TENANT.replace('-', ""), "oid": OBJECT }),
        ] {
            let verdict = subject(&claims(other.clone()), TENANT);
            assert!(matches!(verdict, Err(UpstreamError::SomebodyElse(_))), "{other}");
        }
    }

    #[test]
    fn too_many_groups_are_not_none() {
        assert_eq!(groups(&claims(json!({}))), Groups::Listed(vec![]));
        assert_eq!(groups(&claims(json!({ "groups": ["g"] }))), Groups::Listed(vec!["g".into()]));
        assert_eq!(groups(&claims(json!({ "hasgroups": false }))), Groups::Listed(vec![]));
        assert_eq!(groups(&claims(json!({ "_claim_names": { "address": "src1" } }))), Groups::Listed(vec![]));
        for overflow in [
            json!({ "hasgroups": true }),
            json!({ "hasgroups": "true" }),
            json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": { "src1": { "endpoint": "…" } } }),
        ] {
            assert_eq!(groups(&claims(overflow.clone())), Groups::TooMany, "{overflow}");
        }
    }
}
