//! An MCP server as the gateway sees it: it tells what reached it, and answers as it is told.

use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

/// A request that reached the upstream.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    pub body: String,
}

/// A status and headers.
type Answer = (StatusCode, HeaderMap);

#[derive(Clone)]
struct Shared {
    arrived: Arc<Mutex<Vec<Arrived>>>,
    answer: Arc<Mutex<Answer>>,
}

/// A running upstream. It stops when dropped.
pub struct Upstream {
    pub url: Url,
    shared: Shared,
    server: JoinHandle<()>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/mcp", listener.local_addr().unwrap())).unwrap();
        let shared = Shared {
            arrived: Arc::default(),
            answer: Arc::new(Mutex::new((StatusCode::OK, HeaderMap::new()))),
        };
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, server }
    }

    /// What the upstream answers from now on.
    pub fn answers(&self, status: u16, headers: &[(&str, &str)]) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        *self.shared.answer.lock().unwrap() = (StatusCode::from_u16(status).unwrap(), map);
    }

    /// The requests that arrived since the last call.
    pub fn arrived(&self) -> Vec<Arrived> {
        std::mem::take(&mut *self.shared.arrived.lock().unwrap())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap();
    let (method, target) = (parts.method.to_string(), parts.uri.to_string());
    shared.arrived.lock().unwrap().push(Arrived { method, target, headers: parts.headers, body });
    let (status, headers) = shared.answer.lock().unwrap().clone();
    let mut response = (status, "upstream says hello").into_response();
    let mut last = None;
    for (name, value) in headers {
        // Only the first of several values comes with its name.
        last = name.or(last);
        response.headers_mut().append(last.clone().expect("the first has a name"), value);
    }
    response
}
