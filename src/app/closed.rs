//! What is answered while the keys are not known.

use axum::extract::Request;
use axum::response::Response;

use crate::flows::AuthServer;
use crate::flows::keys::NotOpen;
use crate::flows::refusal::Repeated;
use crate::http::Pages;

/// Around whatever needs a key.
pub async fn unless_open<R>(
    auth: &AuthServer,
    pages: &Pages,
    request: Request,
    next: impl FnOnce(Request) -> R,
) -> Response
where
    R: Future<Output = Response>,
{
    match auth.is_open() {
        true => next(request).await,
        false => {
            let mut response = pages.refused_at(request.uri().path(), NotOpen);
            // The log says why once; everybody who comes is counted.
            response.extensions_mut().insert(Repeated);
            response
        }
    }
}
