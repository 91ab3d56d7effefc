//! What whoever applies should look at: what a registration has that nobody asked for here. Pure.
//!
//! Every member of a tenant may register applications, and choose the name by which this one is found. Who did so before
//! owns what is found, and may have given it secrets and redirect URIs of their own.

use serde_json::Value;

use super::Found;
use super::SCOPE;
use super::Wanted;

/// A line for each, and one first that says what was found. None for a registration that is not there yet.
pub(super) fn of(found: &Found, wanted: &Wanted) -> Vec<String> {
    let Some(application) = &found.application else { return Vec::new() };
    let text = |name: &str| application[name].as_str().unwrap_or("unknown");
    let (name, app_id, made) = (text("displayName"), text("appId"), text("createdDateTime"));
    let mut lines = vec![format!("Found: {name}, client id {app_id}, made {made}")];
    let many = |name: &str| application[name].as_array().map_or(0, Vec::len);
    for (count, what) in
        [(many("passwordCredentials"), "client secrets"), (many("keyCredentials"), "certificates")]
    {
        if count > 0 {
            lines.push(format!("! {what}: {count}. Whoever has one is Entrada to Entra ID"));
        }
    }
    for uri in redirect_uris(application).filter(|uri| Some(*uri) != wanted.redirect_uri.as_deref()) {
        lines.push(format!("! another redirect URI: {uri}"));
    }
    let trusted = wanted.trusted.as_ref();
    let is_other = |credential: &&Value| {
        trusted.is_none_or(|ours| credential["name"] != *ours.name && credential["subject"] != *ours.subject)
    };
    for other in found.credentials.iter().filter(is_other) {
        let text = |name: &str| other[name].as_str().unwrap_or_default();
        let (name, issuer, subject) = (text("name"), text("issuer"), text("subject"));
        lines.push(format!("! another federated credential: {name}, issuer {issuer}, subject {subject}"));
    }
    lines.extend(obstacles(found).into_iter().flatten().map(str::to_owned));
    lines
}

fn redirect_uris(application: &Value) -> impl Iterator<Item = &str> {
    let platforms = ["web", "spa", "publicClient"].map(|platform| &application[platform]["redirectUris"]);
    platforms.into_iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str)
}

/// What keeps people out, and is not for this command to change.
fn obstacles(found: &Found) -> [Option<&'static str>; 2] {
    let application = found.application.as_ref().unwrap_or(&Value::Null);
    let scopes = application["api"]["oauth2PermissionScopes"].as_array();
    let is_admins = |scope: &Value| scope["value"] == SCOPE && scope["type"] == "Admin";
    let admins = scopes.is_some_and(|scopes| scopes.iter().any(is_admins));
    let disabled = found.principal.as_ref().is_some_and(|principal| principal["accountEnabled"] == false);
    [
        admins.then_some("! the scope mcp.access is one that only administrators consent to (type Admin)"),
        disabled.then_some("! the service principal is disabled: nobody can sign in"),
    ]
}
