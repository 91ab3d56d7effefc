//! Liveness and readiness.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

use crate::flows::AuthServer;

/// The process runs.
pub async fn live() -> Response {
    axum::Json(json!({ "status": "live" })).into_response()
}

/// Whether it serves. A store that goes away later does not make a replica unready, because every replica shares it:
/// tokens that are out go on working.
pub async fn ready(State(auth): State<AuthServer>) -> Response {
    let store = if auth.store_answers().await { "ok" } else { "away" };
    let (status, said) = match (auth.is_open(), auth.is_leaving()) {
        (true, false) => (StatusCode::OK, "ready"),
        (true, true) => (StatusCode::SERVICE_UNAVAILABLE, "leaving"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not_open"),
    };
    (status, axum::Json(json!({ "status": said, "store": store }))).into_response()
}
