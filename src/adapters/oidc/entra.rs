use url::Url;
use uuid::Uuid;

use crate::domain::person::Subject;
use crate::ports::idp::UpstreamError;

use super::claims::Claims;
use super::claims::Names;
use super::failure::somebody_else;

/// Stands for the tenant in the metadata of an authority that serves many.
pub(super) const PLACEHOLDER: &str = "{tenantid}";

/// The issuer of a tenant's version 2 tokens. Version 1 has another host and other claims, and is not
/// accepted.
pub(super) fn issuer(authority: &Url, tenant: &str) -> String {
    format!("{}/{tenant}/v2.0", authority.as_str().trim_end_matches('/'))
}

/// The issuer of a tenant, of an issuer that may be a template.
pub(super) fn of_tenant(issuer: &str, tenant: &str) -> String {
    issuer.replace(PLACEHOLDER, tenant)
}

/// A GUID as Entra writes it, in lower case. `None` for the other ways to write one.
pub(super) fn guid(text: &str) -> Option<String> {
    let canonical = Uuid::try_parse(text).ok()?.to_string();
    canonical.eq_ignore_ascii_case(text).then_some(canonical)
}

/// The tenant that the claims are of, if it is one of these.
pub(super) fn tenant(claims: &Claims, tenants: &[String]) -> Result<String, UpstreamError> {
    let tid = claims.additional_claims().tid.as_deref().and_then(guid);
    tid.filter(|tid| tenants.contains(tid)).ok_or_else(|| somebody_else("the ID token is of another tenant"))
}

/// Who it is: `tid` has to be one of the tenants, and `oid` has to be there (it needs the scope `profile`).
///
/// The issuer has the tenant in it and was compared; `tid` is what everything downstream goes by.
pub(super) fn subject(claims: &Claims, tenants: &[String]) -> Result<Subject, UpstreamError> {
    let other = claims.additional_claims();
    let tid = tenant(claims, tenants)?;
    let oid = other.oid.as_deref().and_then(guid);
    let oid = oid.ok_or_else(|| somebody_else("the ID token names no object of the tenant"))?;
    Ok(Subject::Entra { tid, oid })
}

/// Whether somebody is a guest of the tenant, if the token says so. A number that nobody knows is no member's.
pub(super) fn is_guest(claims: &Claims) -> Option<bool> {
    let said = claims.additional_claims().acct.as_ref()?;
    let number = said.as_u64().or_else(|| said.as_str()?.parse().ok());
    Some(number != Some(0))
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
    const OTHER: &str = "7d1b6f0a-0000-4000-8000-0000000000bb";
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
            assert_eq!(of_tenant(&issuer, TENANT), issuer);
            assert_eq!(of_tenant("https://login.microsoftonline.com/{tenantid}/v2.0", TENANT), issuer);
            for other in [
                "https://sts.windows.net/{tenantid}/".to_owned(),
                "https://login.microsoftonline.us/{tenantid}/v2.0".to_owned(),
                format!("https://login.microsoftonline.com/{TENANT}/v2.0/"),
                format!("https://login.microsoftonline.com/{OBJECT}/v2.0"),
            ] {
                assert_ne!(of_tenant(&other, TENANT), issuer, "{other}");
            }
        }
    }

    #[test]
    fn a_subject_is_two_guids_in_lower_case() {
        let upper = claims(json!({ "tid": TENANT.to_uppercase(), "oid": OBJECT.to_uppercase() }));
        let expected = Subject::Entra { tid: TENANT.into(), oid: OBJECT.into() };
        let tenants = [OTHER.to_owned(), TENANT.to_owned()];
        assert_eq!(subject(&upper, &tenants), Ok(expected));
        for other in [
            json!({ "oid": OBJECT }),
            json!({ "tid": TENANT }),
            json!({ "tid": TENANT, "oid": "" }),
            json!({ "tid": TENANT, "oid": "somebody" }),
            json!({ "tid": TENANT, "oid": format!("{{{OBJECT}}}") }),
            json!({ "tid": OBJECT, "oid": OBJECT }),
            json!({ "tid": TENANT.replace('-', ""), "oid": OBJECT }),
        ] {
            let verdict = subject(&claims(other.clone()), &tenants);
            assert!(matches!(verdict, Err(UpstreamError::SomebodyElse(_))), "{other}");
        }
    }

    #[test]
    fn a_guest_is_who_is_no_member() {
        let guest = |acct: Value| is_guest(&claims(json!({ "acct": acct })));
        assert_eq!(is_guest(&claims(json!({}))), None);
        assert_eq!(guest(Value::Null), None);
        for member in [json!(0), json!("0")] {
            assert_eq!(guest(member), Some(false));
        }
        for other in [json!(1), json!("1"), json!(2), json!(-1), json!(""), json!(false), json!([0])] {
            assert_eq!(guest(other.clone()), Some(true), "{other}");
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
