//! `/register`: dynamic client registration.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::flows::AuthServer;
use crate::http::answer::refused;
use crate::http::extract::Json;

pub async fn register(State(auth): State<AuthServer>, Json(body): Json) -> Response {
    match auth.register(&body) {
        Ok(registered) => (StatusCode::CREATED, axum::Json(registered)).into_response(),
        Err(reason) => refused(reason),
    }
}
