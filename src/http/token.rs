//! `/token` and `/revoke`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::flows::AuthServer;
use crate::http::answer::refused_client;
use crate::http::extract::Authorization;
use crate::http::extract::Form;

pub async fn token(
    State(auth): State<AuthServer>,
    Authorization(basic): Authorization,
    Form(form): Form,
) -> Response {
    match auth.token(basic.as_deref(), &form).await {
        Ok(tokens) => axum::Json(tokens).into_response(),
        Err(reason) => refused_client(reason, basic.as_deref(), &form),
    }
}

pub async fn revoke(
    State(auth): State<AuthServer>,
    Authorization(basic): Authorization,
    Form(form): Form,
) -> Response {
    match auth.revoke(basic.as_deref(), &form).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(reason) => refused_client(reason, basic.as_deref(), &form),
    }
}
