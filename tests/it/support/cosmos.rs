//! Cosmos DB on this machine: the SDK's emulator behind a server of ours, which also removes what has expired.
//!
//! It speaks HTTP/1.1 and HTTP/2 without TLS and believes every credential. Time is that of a clock given to it.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Response;
use azure_core::http::Method;
use azure_core::http::Url;
use azure_core::http::headers::HeaderName;
use azure_core::http::headers::HeaderValue;
use azure_data_cosmos::CosmosClientBuilder;
use azure_data_cosmos_driver::in_memory_emulator::ConsistencyLevel;
use azure_data_cosmos_driver::in_memory_emulator::InMemoryEmulatorHttpClient;
use azure_data_cosmos_driver::in_memory_emulator::ReplicationConfig;
use azure_data_cosmos_driver::in_memory_emulator::VirtualAccountConfig;
use azure_data_cosmos_driver::in_memory_emulator::VirtualRegion;
use entrada::adapters::cosmos::Access;
use entrada::adapters::cosmos::CosmosStore;
use entrada::adapters::cosmos::Settings;
use entrada::adapters::cosmos::init;
use entrada::domain::time::Timestamp;
use entrada::ports::clock::Clock;
use http_body_util::BodyExt;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use secrecy::SecretString;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub const DATABASE: &str = "entrada";
pub const CONTAINER: &str = "grants";
pub const REGION: &str = "West Europe";
pub const OTHER_REGION: &str = "North Europe";
/// Any base64.
pub const KEY: &str = "bm8gc2VjcmV0IG9mIGFueWJvZHk=";

/// A running account. It ends when it is dropped.
pub struct HostedCosmos {
    shared: Arc<Shared>,
    reachable: watch::Sender<bool>,
    /// Aborted when dropped.
    _servers: JoinSet<()>,
}

struct Shared {
    emulator: InMemoryEmulatorHttpClient,
    /// Of each region.
    endpoints: [Url; 2],
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
    /// One request at a time changes or sweeps.
    sweeping: tokio::sync::Mutex<Timestamp>,
}

#[derive(Default)]
struct Seen {
    /// When each version was written, by the clock. `_ts` is the machine's.
    written: HashMap<String, Timestamp>,
    requests: Vec<Asked>,
    /// The only token that a database is there for.
    roles: HashMap<&'static str, String>,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `POST docs`.
    pub what: String,
    /// The first is where the account writes at first.
    pub region: usize,
    pub headers: HeaderMap,
}

impl Asked {
    /// Whether it asks for documents by a query. Plans of queries are asked for at the same address.
    pub fn is_query(&self) -> bool {
        let plan = self.headers.contains_key("x-ms-cosmos-is-query-plan-request");
        self.what == "POST docs" && self.headers["content-type"] == "application/query+json" && !plan
    }
}

impl HostedCosmos {
    /// An account of one region, without a database.
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        Self::with(clock, |config| config).await
    }

    /// An account that differs from the usual one.
    pub async fn with(
        clock: Arc<dyn Clock>,
        differ: impl FnOnce(VirtualAccountConfig) -> VirtualAccountConfig,
    ) -> Self {
        let listeners = [
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(),
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(),
        ];
        let endpoints = listeners
            .each_ref()
            .map(|listener| format!("http://{}/", listener.local_addr().unwrap()).parse::<Url>().unwrap());
        let regions = [REGION, OTHER_REGION].into_iter().zip(&endpoints);
        let regions = regions.map(|(name, endpoint)| VirtualRegion::new(name, endpoint.clone())).collect();
        // A failover is on purpose here, and loses nothing.
        let config = VirtualAccountConfig::new(regions).unwrap().with_consistency(ConsistencyLevel::Session);
        let config = config.with_replication_config(ReplicationConfig::immediate());
        let sweeping = tokio::sync::Mutex::new(clock.now());
        let shared = Arc::new(Shared {
            emulator: InMemoryEmulatorHttpClient::new(differ(config)),
            endpoints,
            clock,
            seen: Mutex::default(),
            sweeping,
        });
        let reachable = watch::Sender::new(true);
        let mut servers = JoinSet::new();
        for (region, listener) in listeners.into_iter().enumerate() {
            let router = Router::new().fallback(answer).with_state((Arc::clone(&shared), region));
            servers.spawn(serve(listener, router, reachable.subscribe()));
        }
        Self { shared, reachable, _servers: servers }
    }

    /// An account with the database and the container that Entrada makes.
    pub async fn ready(clock: Arc<dyn Clock>) -> Self {
        let cosmos = Self::start(Arc::clone(&clock)).await;
        init(&cosmos.settings(), clock.as_ref()).await.unwrap();
        cosmos
    }

    pub fn endpoint(&self) -> &Url {
        &self.shared.endpoints[0]
    }

    /// Makes the database, and a container as somebody else would.
    pub async fn make(&self, container: &Value) {
        self.make_in(DATABASE, container).await;
    }

    /// Makes a database with a container in it.
    pub async fn make_in(&self, database: &str, container: &Value) {
        let colls = format!("/dbs/{database}/colls");
        for (target, body) in [("/dbs", json!({ "id": database })), (&*colls, container.clone())] {
            let none = std::iter::empty();
            let (status, _, _) = self.shared.ask(0, "POST", target, none, body.to_string().into()).await;
            assert_eq!(status, 201, "{target}: {body}");
        }
    }

    /// The container, as it describes itself.
    pub async fn container(&self) -> Value {
        let target = format!("/dbs/{DATABASE}/colls/{CONTAINER}");
        let (_, _, body) = self.shared.ask(0, "GET", &target, std::iter::empty(), Bytes::new()).await;
        serde_json::from_slice(&body).unwrap()
    }

    /// How the container is reached.
    pub fn settings(&self) -> Settings {
        Settings {
            endpoint: self.shared.endpoints[0].clone(),
            database: DATABASE.to_owned(),
            container: CONTAINER.to_owned(),
            region: None,
            access: Access::Key(SecretString::from(KEY)),
            // So long only where something is wrong.
            patience: Duration::from_secs(30),
        }
    }

    /// The section of a configuration file, with how to get at it.
    pub fn section(&self, how: &str) -> String {
        let endpoint = self.endpoint();
        format!(
            "\n[store]\nkind = \"cosmos\"\nendpoint = \"{endpoint}\"\ndatabase = \"{DATABASE}\"\n\
             container = \"{CONTAINER}\"\n{how}\n"
        )
    }

    /// A store on it, as one replica has it.
    pub async fn store(&self) -> Arc<CosmosStore> {
        self.store_with(CosmosClientBuilder::new()).await
    }

    /// A store whose client differs.
    pub async fn store_with(&self, builder: CosmosClientBuilder) -> Arc<CosmosStore> {
        let clock = Arc::clone(&self.shared.clock);
        Arc::new(CosmosStore::connect_with(builder, &self.settings(), clock).await.unwrap())
    }

    /// A store that gives up after this time.
    pub async fn store_of(&self, patience: Duration) -> Arc<CosmosStore> {
        let settings = Settings { patience, ..self.settings() };
        Arc::new(CosmosStore::connect(&settings, Arc::clone(&self.shared.clock)).await.unwrap())
    }

    /// Whether connections are served. When not, those that are open break, and new ones too.
    pub fn reachable(&self, reachable: bool) {
        self.reachable.send_replace(reachable);
    }

    /// What lies in a database is for whoever has this token, from now on.
    pub fn is_for(&self, database: &'static str, token: &str) {
        let authorization = format!("type%3Daad%26ver%3D1.0%26sig%3D{token}");
        self.shared.seen().roles.insert(database, authorization);
    }

    /// What has arrived since the last call.
    pub fn requests(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.seen().requests)
    }

    /// The account writes in its second region from now on.
    pub fn fail_over(&self) {
        self.shared.emulator.store().set_write_region(OTHER_REGION).unwrap();
    }

    /// Splits the container's only partition in two, so that queries have to be merged.
    pub async fn split(&self) {
        let store = self.shared.emulator.store();
        store.split_partition(DATABASE, CONTAINER, 0, Duration::ZERO);
        store.wait_for_split(DATABASE, CONTAINER, 0).await;
    }

    /// All documents, as they are stored.
    pub async fn documents(&self) -> Vec<Value> {
        self.documents_in(DATABASE, CONTAINER).await
    }

    /// All documents of a container.
    pub async fn documents_in(&self, database: &str, container: &str) -> Vec<Value> {
        self.shared.documents(database, container).await
    }
}

/// Serves connections while they are to be served.
async fn serve(listener: TcpListener, router: Router, mut reachable: watch::Receiver<bool>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                if *reachable.borrow() {
                    open.spawn(connection(stream, router.clone()));
                }
            }
            changed = reachable.changed() => {
                if changed.is_err() {
                    return;
                }
                if !*reachable.borrow() {
                    open.shutdown().await;
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    stream.set_nodelay(true).unwrap();
    let service = TowerToHyperService::new(router);
    // What the client breaks off is its own affair.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(State((shared, region)): State<(Arc<Shared>, usize)>, request: Request) -> Response<Body> {
    shared.sweep().await;
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let kind = parts.uri.path().split('/').skip(1).step_by(2).last().unwrap_or_default().to_owned();
    let what = format!("{} {kind}", parts.method);
    shared.seen().requests.push(Asked { what, region, headers: parts.headers.clone() });
    if !shared.seen().lets_in(parts.uri.path(), &parts.headers) {
        return Response::builder().status(403).body(Body::from(r#"{"code":"Forbidden"}"#)).unwrap();
    }
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let (status, headers, body) = shared.ask(region, parts.method.as_str(), target, headers, body).await;
    if let Some(etag) = headers.get("etag").filter(|_| status < 300 && parts.method != "GET") {
        let now = shared.clock.now();
        shared.seen().written.insert(etag.clone(), now);
    }
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}

impl Seen {
    fn lets_in(&self, path: &str, headers: &HeaderMap) -> bool {
        let role = path.split('/').nth(2).and_then(|database| self.roles.get(database));
        role.is_none_or(|role| headers.get("authorization").is_some_and(|given| given == role.as_str()))
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    async fn ask<'a>(
        &self,
        region: usize,
        method: &str,
        target: &str,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        body: Bytes,
    ) -> (u16, BTreeMap<String, String>, Bytes) {
        let url = self.endpoints[region].join(target).unwrap();
        let method = match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            other => panic!("Cosmos DB is never asked to {other}"),
        };
        let mut request = azure_core::http::Request::new(url, method);
        for (name, value) in headers {
            let name = HeaderName::from(name.to_owned());
            request.headers_mut().insert(name, HeaderValue::from(value.to_owned()));
        }
        request.set_body(body.to_vec());
        let answer = self.emulator.execute_request(&request).await.unwrap();
        let answer = answer.try_into_raw_response().await.unwrap();
        let headers = answer.headers().iter();
        let headers = headers.map(|(n, v)| (n.as_str().to_owned(), v.as_str().to_owned())).collect();
        (answer.status().into(), headers, Bytes::copy_from_slice(answer.body().as_ref()))
    }

    async fn documents(&self, database: &str, container: &str) -> Vec<Value> {
        let target = format!("/dbs/{database}/colls/{container}/docs");
        let all = [("x-ms-max-item-count", "100000")];
        let (status, _, body) = self.ask(0, "GET", &target, all.into_iter(), Bytes::new()).await;
        if status == 404 {
            return Vec::new();
        }
        let mut feed: Value = serde_json::from_slice(&body).unwrap();
        serde_json::from_value(feed["Documents"].take()).unwrap()
    }

    /// Removes what has expired, as Cosmos DB does and its emulator does not, whenever the clock has moved.
    async fn sweep(&self) {
        let mut swept = self.sweeping.lock().await;
        let now = self.clock.now();
        if now <= *swept {
            return;
        }
        *swept = now;
        for document in self.documents(DATABASE, CONTAINER).await {
            let Some(ttl) = document["ttl"].as_i64() else { continue };
            let written = self.seen().written.get(document["_etag"].as_str().unwrap()).copied();
            if written.is_some_and(|written| written.0.saturating_add(ttl) <= now.0) {
                let id = document["id"].as_str().unwrap();
                let target = format!("/dbs/{DATABASE}/colls/{CONTAINER}/docs/{id}");
                let pk = Value::from(vec![document["pk"].clone()]).to_string();
                let headers = [("x-ms-documentdb-partitionkey", pk.as_str())];
                let (status, _, _) = self.ask(0, "DELETE", &target, headers.into_iter(), Bytes::new()).await;
                assert!(status == 204 || status == 404, "an expired document was not removed: {status}");
            }
        }
    }
}
