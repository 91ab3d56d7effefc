//! Cosmos DB on this machine: the SDK's emulator behind a server of ours, without TLS. It believes every credential.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Response;
use axum::http::StatusCode;
use azure_core::credentials::AccessToken;
use azure_core::credentials::TokenCredential;
use azure_core::credentials::TokenRequestOptions;
use azure_core::http::Method;
use azure_core::http::Url;
use azure_core::http::headers::HeaderName;
use azure_core::http::headers::HeaderValue;
use azure_core::time::Duration;
use azure_core::time::OffsetDateTime;
use azure_data_cosmos_driver::in_memory_emulator::ConsistencyLevel;
use azure_data_cosmos_driver::in_memory_emulator::InMemoryEmulatorHttpClient;
use azure_data_cosmos_driver::in_memory_emulator::VirtualAccountConfig;
use azure_data_cosmos_driver::in_memory_emulator::VirtualRegion;
use expenses::CosmosLedger;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const DATABASE: &str = "expenses";
pub const CONTAINER: &str = "records";

/// A running account with a container for expenses.
pub struct Cosmos {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    emulator: InMemoryEmulatorHttpClient,
    endpoint: Url,
    state: Mutex<Lived>,
}

#[derive(Default)]
struct Lived {
    away: bool,
    /// How many answers to creations get lost on the way.
    lost: usize,
    asked: Vec<Asked>,
}

/// A request that arrived.
pub struct Asked {
    /// `POST /dbs/…`.
    pub what: String,
    pub headers: HeaderMap,
}

impl Cosmos {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let region = VirtualRegion::new("West Europe", endpoint.clone());
        let config = VirtualAccountConfig::new(vec![region]).unwrap();
        let emulator = InMemoryEmulatorHttpClient::new(config.with_consistency(ConsistencyLevel::Session));
        let shared = Arc::new(Shared { emulator, endpoint, state: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let container =
            json!({ "id": CONTAINER, "partitionKey": { "kind": "Hash", "paths": ["/sub"], "version": 2 } });
        let colls = format!("/dbs/{DATABASE}/colls");
        for (target, body) in [("/dbs", json!({ "id": DATABASE })), (&colls, container)] {
            let (status, ..) = shared.ask("POST", target, &HeaderMap::new(), body.to_string().into()).await;
            assert_eq!(status, 201, "{target}");
        }
        Self { shared, server }
    }

    pub fn endpoint(&self) -> &str {
        self.shared.endpoint.as_str()
    }

    /// A ledger in it, as one process has it.
    pub fn ledger(&self) -> Arc<CosmosLedger> {
        Arc::new(CosmosLedger::new(self.endpoint(), DATABASE, CONTAINER, Arc::new(Anybody)).unwrap())
    }

    /// Whether everything is answered with 503.
    pub fn away(&self, away: bool) {
        self.shared.state.lock().unwrap().away = away;
    }

    /// The next creation is carried out, and its answer does not arrive.
    pub fn lose_an_answer(&self) {
        self.shared.state.lock().unwrap().lost = 1;
    }

    pub fn answers_to_lose(&self) -> usize {
        self.shared.state.lock().unwrap().lost
    }

    /// What has arrived since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.state.lock().unwrap().asked)
    }

    /// All documents, as they are stored.
    pub async fn documents(&self) -> Vec<Value> {
        let target = format!("/dbs/{DATABASE}/colls/{CONTAINER}/docs");
        let headers = HeaderMap::from_iter([(
            "x-ms-max-item-count".parse().unwrap(),
            axum::http::HeaderValue::from_static("100000"),
        )]);
        let (_, _, body) = self.shared.ask("GET", &target, &headers, Vec::new()).await;
        let mut feed: Value = serde_json::from_slice(&body).unwrap();
        serde_json::from_value(feed["Documents"].take()).unwrap()
    }
}

impl Drop for Cosmos {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let target = parts.uri.path_and_query().unwrap().as_str();
    let what = format!("{} {}", parts.method, parts.uri.path());
    let creates = what.starts_with("POST ") && what.ends_with("/docs") && !is_query(&parts.headers);
    shared.state.lock().unwrap().asked.push(Asked { what, headers: parts.headers.clone() });
    if shared.state.lock().unwrap().away {
        return unavailable();
    }
    let (status, headers, body) =
        shared.ask(parts.method.as_str(), target, &parts.headers, body.to_vec()).await;
    if creates {
        let lost = &mut shared.state.lock().unwrap().lost;
        if *lost > 0 {
            *lost -= 1;
            return unavailable();
        }
    }
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(body.into()).unwrap()
}

/// Plans of queries are asked for at the same address.
pub fn is_query(headers: &HeaderMap) -> bool {
    headers.get("content-type").is_some_and(|kind| kind == "application/query+json")
}

fn unavailable() -> Response<Body> {
    Response::builder().status(StatusCode::SERVICE_UNAVAILABLE).body(Body::empty()).unwrap()
}

impl Shared {
    async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &HeaderMap,
        body: Vec<u8>,
    ) -> (u16, BTreeMap<String, String>, Vec<u8>) {
        let method = match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            other => panic!("Cosmos DB is never asked to {other}"),
        };
        let mut request = azure_core::http::Request::new(self.endpoint.join(target).unwrap(), method);
        for (name, value) in headers {
            let name = HeaderName::from(name.as_str().to_owned());
            request.headers_mut().insert(name, HeaderValue::from(value.to_str().unwrap().to_owned()));
        }
        request.set_body(body);
        let answer = self.emulator.execute_request(&request).await.unwrap();
        let answer = answer.try_into_raw_response().await.unwrap();
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned()));
        (answer.status().into(), headers.collect(), answer.body().as_ref().to_vec())
    }
}

/// A credential that the emulator believes.
#[derive(Debug)]
struct Anybody;

#[async_trait]
impl TokenCredential for Anybody {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new("token", OffsetDateTime::now_utc() + Duration::hours(1)))
    }
}
