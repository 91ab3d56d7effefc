//! What of Microsoft Graph answers here: which groups the person is in whose token it is.

use axum::Json;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

use super::Idp;
use super::keys;

/// The permission to read what is the person's own, their memberships too.
const OWN: &str = "User.Read";

/// Whether a scope is one of this Graph.
pub(super) fn is_scope(idp: &Idp, scope: &str) -> bool {
    permission(idp, scope).is_some()
}

/// Whether somebody has consented to a scope of this Graph.
pub(super) fn is_consented(idp: &Idp, scope: &str) -> bool {
    permission(idp, scope) == Some(OWN) && idp.memory.consented_to_graph()
}

fn permission<'a>(idp: &Idp, scope: &'a str) -> Option<&'a str> {
    scope.strip_prefix(&idp.authority)?.strip_prefix('/')
}

/// `POST /v1.0/me/getMemberObjects`.
pub(super) fn member_objects(idp: &Idp, headers: &HeaderMap, body: &[u8]) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let Some(grant) = idp.memory.access_token(token) else {
        return refused(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken");
    };
    if !grant.scope.iter().any(|scope| is_scope(idp, scope)) {
        return refused(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken");
    }
    if !grant.scope.iter().any(|scope| permission(idp, scope) == Some(OWN)) {
        return refused(StatusCode::FORBIDDEN, "Authorization_RequestDenied");
    }
    let question: Value = serde_json::from_slice(body).unwrap_or_default();
    if !question["securityEnabledOnly"].is_boolean() {
        return refused(StatusCode::BAD_REQUEST, "Request_BadRequest");
    }
    let groups = idp.options.people.get(grant.person).map(|person| person.groups.clone());
    Json(json!({
        "@odata.context": format!("{}/v1.0/$metadata#Collection(Edm.String)", idp.authority),
        "value": groups.unwrap_or_default(),
    }))
    .into_response()
}

fn refused(status: StatusCode, code: &str) -> Response {
    let error = json!({
        "error": {
            "code": code,
            "message": "Refused.",
            "innerError": { "request-id": keys::random(), "date": "2026-11-23T05:45:00" },
        },
    });
    (status, Json(error)).into_response()
}
