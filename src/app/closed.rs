//! What is answered while the keys are not known.

use axum::extract::Request;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::Response;

use crate::flows::AuthServer;
use crate::flows::keys::NotOpen;
use crate::flows::refusal::Repeated;
use crate::http::Pages;

/// Around whatever needs a key.
pub async fn unless_open(
    State((auth, pages)): State<(AuthServer, Pages)>,
    request: Request,
    next: Next,
) -> Response {
    match auth.is_open() {
        true => next.run(request).await,
        false => {
            let mut response = pages.refused_at(request.uri().path(), NotOpen);
            // The log says why once; everybody who comes is counted.
            response.extensions_mut().insert(Repeated);
            response
        }
    }
}
