//! `/token` and `/revoke`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use tracing::Instrument;

use crate::flows::AuthServer;
use crate::flows::token::Reason;
use crate::http::answer::refused;
use crate::http::answer::refused_client;
use crate::http::extract::Authorization;
use crate::http::extract::Form;

pub async fn token(
    State(auth): State<AuthServer>,
    Authorization(basic): Authorization,
    Form(form): Form,
) -> Response {
    let tried_basic = basic.is_some();
    // In a task of its own: a client that hangs up must not stop a refresh between the identity
    // provider's answer and the swap that remembers it.
    let work = async move { auth.token(basic.as_deref(), &form).await };
    match tokio::spawn(work.in_current_span()).await {
        Ok(Ok(tokens)) => axum::Json(tokens).into_response(),
        Ok(Err(reason)) => refused_client(reason, tried_basic),
        Err(_) => refused(Reason::NotMinted),
    }
}

pub async fn revoke(
    State(auth): State<AuthServer>,
    Authorization(basic): Authorization,
    Form(form): Form,
) -> Response {
    let tried_basic = basic.is_some();
    match auth.revoke(basic.as_deref(), &form).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(reason) => refused_client(reason, tried_basic),
    }
}
