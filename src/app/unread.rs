//! What is left of a request when it has been answered.
//!
//! A refusal often needs no body, and is ready before the body has arrived. Closing the connection then,
//! as hyper does, loses what the client sends next on it: to a client that keeps connections, the server
//! has hung up without an answer (RFC 9112 §9.3, §9.6). So the rest is read, or the answer says that the
//! connection closes.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::body::Bytes;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::Version;
use axum::http::header;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::body::SizeHint;
use tokio::sync::oneshot;

/// Bytes. What is longer is not worth the connection.
const REST: usize = 64 * 1024;
/// A body that was on its way has come by then.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads what a handler has left of the body, before the answer goes out.
pub async fn read_the_rest<R>(request: Request, next: impl FnOnce(Request) -> R) -> Response
where
    R: Future<Output = Response>,
{
    // HTTP/2 ends a stream without its connection.
    if request.body().is_end_stream() || request.version() == Version::HTTP_2 {
        return next(request).await;
    }
    let expects = request.headers().contains_key(header::EXPECT);
    let (returned, mut left) = oneshot::channel();
    let lent = |body| Body::new(Lent { body, asked: false, returned: Some(returned) });
    let mut response = next(request.map(lent)).await;
    // Not returned: it is still on its way through the gateway.
    let Ok((body, asked)) = left.try_recv() else { return response };
    // Who waits for our word (RFC 9110 §10.1.1) sends nothing unless asked, and asking would invite it.
    if (expects && !asked) || !is_read(body).await {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether the body has come to its end in time and in measure.
async fn is_read(mut body: Body) -> bool {
    let mut room = REST;
    let read = async {
        while let Some(frame) = body.frame().await {
            let length = frame.ok()?.data_ref().map_or(0, Bytes::len);
            room = room.checked_sub(length)?;
        }
        Some(())
    };
    matches!(tokio::time::timeout(PATIENCE, read).await, Ok(Some(())))
}

/// A body that comes back when its reader drops it, with whether it was ever asked for.
struct Lent {
    body: Body,
    asked: bool,
    returned: Option<oneshot::Sender<(Body, bool)>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.asked = true;
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(returned) = self.returned.take() {
            // Whoever lent it may have gone on without it.
            let _ = returned.send((std::mem::take(&mut self.body), self.asked));
        }
    }
}
