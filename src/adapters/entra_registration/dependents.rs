//! What hangs off the registration: its service principal in the tenant, and whose tokens stand for it. Pure.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use url::Url;

use super::ApplyError;
use super::Change;
use super::Object;
use super::Step;
use super::Trusted;

/// Lists it under Enterprise applications.
const TAG: &str = "WindowsAzureActiveDirectoryIntegratedApp";
/// <https://learn.microsoft.com/graph/api/resources/federatedidentitycredentials-overview>.
const MAX_CREDENTIALS: usize = 20;

/// The write that the service principal needs, if it needs one. Whether people have to be assigned to it is for whoever
/// administers it, once it is there.
pub(super) fn service_principal(found: Option<&Value>) -> Option<Step> {
    let mut tags = found.and_then(|found| found["tags"].as_array().cloned()).unwrap_or_default();
    let mut body = Map::new();
    let mut changes = Vec::new();
    if found.is_none() {
        let value = "for whoever may sign in, without an assignment".to_owned();
        changes.push(Change::Added { what: "service principal", value });
    }
    if !tags.iter().any(|tag| tag == TAG) {
        tags.push(TAG.into());
        body.insert("tags".to_owned(), tags.into());
        changes.push(Change::Added { what: "tag of the service principal", value: TAG.to_owned() });
    }
    let creates = found.is_none();
    (!body.is_empty()).then_some(Step { object: Object::ServicePrincipal, creates, body, changes })
}

/// Who issues the tokens of a tenant's managed identities.
pub(super) fn issuer(authority: &Url, tenant: &str) -> String {
    format!("{}/{tenant}/v2.0", authority.origin().ascii_serialization())
}

/// The write that the federated credential needs, if it needs one. One with our name is ours; and where another one trusts
/// the same issuer and subject, there is nothing to do, since no two may.
pub(super) fn credential(
    found: &[Value],
    trusted: &Trusted,
    issuer: &str,
    audience: &str,
) -> Result<Option<Step>, ApplyError> {
    let Trusted { name, description, subject, .. } = trusted;
    let is_ours = |found: &&Value| found["name"] == *name.as_str();
    let is_alike = |found: &&Value| found["issuer"] == issuer && found["subject"] == *subject.as_str();
    if let Some(theirs) = found.iter().find(|found| is_alike(found) && !is_ours(found)) {
        return if audience_of(theirs) == audience { Ok(None) } else { Err(for_another(theirs, audience)) };
    }
    let ours = found.iter().find(is_ours);
    let mut body = json!({ "issuer": issuer, "subject": subject, "audiences": [audience] });
    let changes = match ours {
        Some(ours) => replaced(ours, name, [issuer, subject, audience]),
        None if found.len() >= MAX_CREDENTIALS => return Err(too_many()),
        None => {
            body["description"] = (*description).into();
            let value = format!("{name}, issuer {issuer}, subject {subject}, audience {audience}");
            vec![Change::Added { what: "federated credential", value }]
        }
    };
    let body = body.as_object().cloned().unwrap_or_default();
    let step = Step { object: Object::Credential(name.clone()), creates: ours.is_none(), body, changes };
    Ok((!step.changes.is_empty()).then_some(step))
}

/// What differs in one that has our name.
fn replaced(ours: &Value, name: &str, wanted: [&str; 3]) -> Vec<Change> {
    let text = |key: &str| ours[key].as_str().unwrap_or_default();
    let found = [("issuer", text("issuer")), ("subject", text("subject")), ("audience", audience_of(ours))];
    let differing = found.into_iter().zip(wanted).filter(|((_, from), to)| from != to);
    let changed = |((key, from), to): ((&str, &str), &str)| Change::Changed {
        what: format!("federated credential {name}, {key}"),
        from: from.to_owned(),
        to: to.to_owned(),
    };
    differing.map(changed).collect()
}

/// There is one only.
fn audience_of(credential: &Value) -> &str {
    credential["audiences"][0].as_str().unwrap_or_default()
}

fn for_another(theirs: &Value, audience: &str) -> ApplyError {
    let name = theirs["name"].as_str().unwrap_or_default();
    ApplyError::Wrong(format!(
        "The federated credential {name:?} of the registration trusts the same issuer and subject for another audience than \
         {audience}, and no two may trust the same. Change that one, or delete it."
    ))
}

fn too_many() -> ApplyError {
    ApplyError::Wrong(format!(
        "The registration has {MAX_CREDENTIALS} federated credentials, and may have no more. Delete one that is not used, or \
         name one that is to be replaced by --federated-credential."
    ))
}
