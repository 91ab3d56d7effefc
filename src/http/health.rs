//! Liveness and readiness.

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

use crate::flows::AuthServer;

/// The process runs.
pub async fn live() -> Response {
    axum::Json(json!({ "status": "live" })).into_response()
}

/// Keys and store were reached: this router exists only after that. A store that goes away later does
/// not make a replica unready, because every replica shares it: tokens that are out go on working.
pub async fn ready(State(auth): State<AuthServer>) -> Response {
    let store = if auth.store_answers().await { "ok" } else { "away" };
    axum::Json(json!({ "status": "ready", "store": store })).into_response()
}
