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
    match auth.is_open() {
        true => axum::Json(json!({ "status": "ready", "store": store })).into_response(),
        false => {
            let body = axum::Json(json!({ "status": "not_open", "store": store }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}
