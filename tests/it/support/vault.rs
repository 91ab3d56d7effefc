//! Azure Key Vault on this machine, as far as secrets and their versions go.
//!
//! What was never set is an empty list and not 404; versions are listed newest first, 25 at most on a page; the next page is
//! named by a whole URL; a disabled version is listed, and cannot be read; a deleted secret is gone and its name is taken.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;

use async_trait::async_trait;
use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::http::Method;
use axum::http::Response;
use azure_core::credentials::AccessToken;
use azure_core::credentials::TokenCredential;
use azure_core::credentials::TokenRequestOptions;
use azure_core::time::OffsetDateTime;
use entrada::adapters::root_key_vault::RootKeyVault;
use entrada::adapters::root_key_vault::Settings;
use entrada::adapters::system::SystemClock;
use entrada::ports::clock::Clock;
use http_body_util::BodyExt;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

pub const SECRET: &str = "entrada-root";
/// What the vault takes for a token of its own.
pub const TOKEN: &str = "token-of-the-managed-identity";
const PAGE: usize = 25;

/// A running vault. It ends when it is dropped.
pub struct HostedVault {
    pub url: Url,
    shared: Arc<Shared>,
    reachable: watch::Sender<bool>,
    /// Aborted when dropped.
    _server: JoinSet<()>,
}

struct Shared {
    origin: String,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// In the order in which they were made.
    versions: Vec<Version>,
    deleted: bool,
    /// Whether what is made now is shown later: in the list, and when it is asked for.
    unlisted: bool,
    unread: bool,
    /// The next so many sets wait for each other.
    setters: Option<(Arc<Barrier>, usize)>,
    /// What requests of a method are answered instead, if anything, the first of them first.
    instead: HashMap<Method, VecDeque<Option<Instead>>>,
    /// Where the second page is said to be.
    astray: Option<String>,
    requests: Vec<Asked>,
    made: u32,
}

/// An answer in place of the true one.
#[derive(Clone, Debug)]
pub struct Instead {
    pub status: u16,
    pub code: &'static str,
    pub inner: Option<&'static str>,
    pub message: &'static str,
    pub headers: Vec<(&'static str, &'static str)>,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    /// With its query.
    pub target: String,
}

/// A version, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub id: String,
    pub value: String,
    pub kind: Option<String>,
    pub enabled: bool,
    created: i64,
    listed: bool,
    readable: bool,
}

impl Version {
    /// The number that it begins with.
    pub fn generation(&self) -> u8 {
        self.value.split_once(' ').unwrap().0.parse().unwrap()
    }
}

impl HostedVault {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { origin: origin.clone(), kept: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let reachable = watch::Sender::new(true);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, router, reachable.subscribe()));
        Self { url: origin.parse().unwrap(), shared, reachable, _server: server }
    }

    /// A root key in it, as one of several replicas has it.
    pub fn root_key(&self) -> RootKeyVault {
        self.root_key_with(Arc::new(Identity(TOKEN)), true)
    }

    /// The same, for whoever comes with this credential.
    pub fn root_key_with(&self, credential: Arc<dyn TokenCredential>, shared: bool) -> RootKeyVault {
        let settings = Settings {
            vault: self.url.clone(),
            secret: SECRET.to_owned(),
            credential,
            shared,
            patience: Duration::from_secs(2),
        };
        RootKeyVault::new(settings).unwrap()
    }

    /// The section of a configuration file.
    pub fn section(&self) -> String {
        format!("\n[keys]\nvault = \"{}\"\n", self.url)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.kept.lock().unwrap()
    }

    /// Every version, in the order in which they were made.
    pub fn versions(&self) -> Vec<Version> {
        self.kept().versions.clone()
    }

    /// The number of each version, in the order in which they were made, and whether it is enabled.
    pub fn generations(&self) -> Vec<(u8, bool)> {
        self.versions().iter().map(|version| (version.generation(), version.enabled)).collect()
    }

    /// Makes a version, as somebody else would.
    pub fn set(&self, value: &str) {
        self.kept().set(value.to_owned(), None);
    }

    /// Enables or disables the `n`th version, counted from 0, as an operator does.
    pub fn enable(&self, n: usize, enabled: bool) {
        self.kept().versions[n].enabled = enabled;
    }

    /// Deletes the secret, or recovers it.
    pub fn delete(&self, deleted: bool) {
        self.kept().deleted = deleted;
    }

    /// From now on new versions are not listed, until the vault catches up.
    pub fn lags(&self) {
        self.kept().unlisted = true;
    }

    /// From now on new versions are neither listed nor found.
    pub fn lags_wholly(&self) {
        let mut kept = self.kept();
        (kept.unlisted, kept.unread) = (true, true);
    }

    /// Everything is listed and found, and will be.
    pub fn catches_up(&self) {
        let mut kept = self.kept();
        (kept.unlisted, kept.unread) = (false, false);
        kept.versions.iter_mut().for_each(|version| (version.listed, version.readable) = (true, true));
    }

    /// The next `count` sets are carried out when the last of them has come.
    pub fn gather_sets(&self, count: usize) {
        self.kept().setters = Some((Arc::new(Barrier::new(count)), count));
    }

    /// The next request of this method, behind those that were told before, is answered so.
    pub fn answers(&self, method: Method, instead: Instead) {
        self.kept().instead.entry(method).or_default().push_back(Some(instead));
    }

    /// The second request of this method from now on is answered so.
    pub fn answers_second(&self, method: Method, instead: Instead) {
        let mut kept = self.kept();
        let queue = kept.instead.entry(method).or_default();
        queue.extend([None, Some(instead)]);
    }

    /// The second page of the list is said to be at this origin.
    pub fn leads_astray(&self, origin: &str) {
        self.kept().astray = Some(origin.to_owned());
    }

    /// Whether connections are served. When not, those that are open break, and new ones too.
    pub fn reachable(&self, reachable: bool) {
        self.reachable.send_replace(reachable);
    }

    /// What has arrived since the last call.
    pub fn requests(&self) -> Vec<Asked> {
        std::mem::take(&mut self.kept().requests)
    }
}

impl Instead {
    pub fn new(status: u16, code: &'static str, inner: Option<&'static str>) -> Self {
        Self { status, code, inner, message: "For people, with ids in it", headers: Vec::new() }
    }

    pub fn saying(self, message: &'static str) -> Self {
        Self { message, ..self }
    }

    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn response(&self) -> Response<Body> {
        let inner = self.inner.map(|code| json!({ "code": code }));
        let message = self.message;
        let error = match inner {
            Some(inner) => json!({ "code": self.code, "message": message, "innererror": inner }),
            None => json!({ "code": self.code, "message": message }),
        };
        let mut response = Response::builder().status(self.status).header("content-type", "application/json");
        for (name, value) in &self.headers {
            response = response.header(*name, *value);
        }
        response.body(Body::from(json!({ "error": error }).to_string())).unwrap()
    }
}

impl Kept {
    fn set(&mut self, value: String, kind: Option<String>) -> Version {
        self.made += 1;
        let version = Version {
            // No order can be read from it.
            id: format!("{:08x}{:024x}", self.made.wrapping_mul(0x9E37_79B9), self.made),
            value,
            kind,
            enabled: true,
            created: SystemClock::new().now().0,
            listed: !self.unlisted,
            readable: !self.unread,
        };
        self.versions.push(version.clone());
        version
    }
}

impl Shared {
    fn id(&self, version: &Version) -> String {
        format!("{}/secrets/{SECRET}/{}", self.origin, version.id)
    }

    fn attributes(version: &Version) -> Value {
        let Version { enabled, created, .. } = version;
        json!({ "enabled": enabled, "created": created, "updated": created, "recoveryLevel": "Recoverable" })
    }

    fn bundle(&self, version: &Version) -> Response<Body> {
        found(&json!({
            "value": version.value,
            "contentType": version.kind,
            "id": self.id(version),
            "attributes": Self::attributes(version),
        }))
    }

    fn page(&self, query: &HashMap<String, String>) -> Response<Body> {
        let kept = self.kept.lock().unwrap();
        let skip: usize = query.get("$skiptoken").map_or(0, |token| token.parse().unwrap());
        let wanted: usize = query.get("maxresults").map_or(PAGE, |count| count.parse().unwrap());
        if wanted > PAGE {
            return Instead::new(400, "BadParameter", None).response();
        }
        let listed: Vec<&Version> =
            kept.versions.iter().rev().filter(|version| version.listed && !kept.deleted).collect();
        let page: Vec<Value> = listed
            .iter()
            .skip(skip)
            .take(wanted)
            .map(|version| {
                json!({
                    "id": self.id(version),
                    "contentType": version.kind,
                    "attributes": Self::attributes(version),
                })
            })
            .collect();
        let next = (listed.len() > skip + wanted).then(|| {
            let origin = kept.astray.as_ref().unwrap_or(&self.origin);
            let at = skip + wanted;
            format!("{origin}/secrets/{SECRET}/versions?api-version=7.4&$skiptoken={at}&maxresults={wanted}")
        });
        found(&json!({ "value": page, "nextLink": next }))
    }

    fn carry_out(&self, method: &Method, below: Option<&str>, body: &Value) -> Response<Body> {
        let absent = || Instead::new(404, "SecretNotFound", None).response();
        let mut kept = self.kept.lock().unwrap();
        match (method, below) {
            (&Method::PUT, None) if kept.deleted => {
                Instead::new(409, "Conflict", Some("ObjectIsDeletedButRecoverable")).response()
            }
            (&Method::PUT, None) => {
                let text = |name: &str| body[name].as_str().map(str::to_owned);
                let version = kept.set(text("value").unwrap(), text("contentType"));
                self.bundle(&version)
            }
            _ if kept.deleted => absent(),
            (method, Some(id)) => {
                let found = kept.versions.iter_mut().find(|version| version.id == id && version.readable);
                let Some(version) = found else { return absent() };
                match *method {
                    Method::GET if version.enabled => self.bundle(version),
                    Method::GET => Instead::new(403, "Forbidden", Some("SecretDisabled")).response(),
                    Method::PATCH => {
                        version.enabled = body["attributes"]["enabled"].as_bool().unwrap();
                        found_without_value(self.id(version), version)
                    }
                    _ => Instead::new(405, "MethodNotAllowed", None).response(),
                }
            }
            _ => absent(),
        }
    }
}

fn found(body: &Value) -> Response<Body> {
    Response::builder().header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()
}

fn found_without_value(id: String, version: &Version) -> Response<Body> {
    found(&json!({ "id": id, "attributes": Shared::attributes(version) }))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let target = head.uri.to_string();
    let authorization = head.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    if authorization.as_deref() != Some(&format!("Bearer {TOKEN}")) {
        let challenge = "Bearer authorization=\"https://login.windows.net/11111111-2222\", resource=\"https://vault.azure.net\"";
        return Instead::new(401, "Unauthorized", None).with("www-authenticate", challenge).response();
    }
    let (instead, gathered) = {
        let mut kept = shared.kept.lock().unwrap();
        kept.requests.push(Asked { method: head.method.clone(), target });
        let instead = kept.instead.get_mut(&head.method).and_then(VecDeque::pop_front).flatten();
        let gathered = match kept.setters.take() {
            Some((barrier, left)) if head.method == Method::PUT => {
                kept.setters = (left > 1).then(|| (Arc::clone(&barrier), left - 1));
                Some(barrier)
            }
            setters => {
                kept.setters = setters;
                None
            }
        };
        (instead, gathered)
    };
    if let Some(barrier) = gathered {
        barrier.wait().await;
    }
    if let Some(instead) = instead {
        return instead.response();
    }
    let query = head.uri.query().unwrap_or_default();
    let query: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    if query.get("api-version").map(String::as_str) != Some("7.4") {
        return Instead::new(400, "BadParameter", None).response();
    }
    let path: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
    let body = body.collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match (&head.method, path.as_slice()) {
        (&Method::GET, ["secrets", SECRET, "versions"]) => shared.page(&query),
        (method, ["secrets", SECRET]) => shared.carry_out(method, None, &body),
        (method, ["secrets", SECRET, version]) => shared.carry_out(method, Some(version), &body),
        _ => Instead::new(404, "SecretNotFound", None).response(),
    }
}

/// Serves connections while they are to be served.
async fn serve(listener: TcpListener, router: Router, mut reachable: watch::Receiver<bool>) {
    use hyper_util::rt::TokioExecutor;
    use hyper_util::rt::TokioIo;
    use hyper_util::server::conn::auto;
    use hyper_util::service::TowerToHyperService;

    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                if *reachable.borrow() {
                    let service = TowerToHyperService::new(router.clone());
                    open.spawn(async move {
                        let builder = auto::Builder::new(TokioExecutor::new());
                        builder.serve_connection(TokioIo::new(stream), service).await.ok();
                    });
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

/// Gives one token to whoever asks.
#[derive(Debug)]
pub struct Identity(pub &'static str);

#[async_trait]
impl TokenCredential for Identity {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://vault.azure.net/.default"]);
        let later = SystemClock::new().now().0 + 3_600;
        Ok(AccessToken::new(self.0, OffsetDateTime::from_unix_timestamp(later).unwrap()))
    }
}

/// What App Service and Container Apps have beside a program: tokens of its managed identity. Answers with where that is;
/// `asked` learns of each request and the header that it came with.
pub async fn identity_endpoint(asked: Arc<Mutex<Vec<String>>>) -> String {
    identity_endpoint_with(TOKEN, asked).await
}

/// The same, with this token.
pub async fn identity_endpoint_with(token: &'static str, asked: Arc<Mutex<Vec<String>>>) -> String {
    type Shared = (&'static str, Arc<Mutex<Vec<String>>>);
    async fn answer(State((token, asked)): State<Shared>, request: Request) -> Json<Value> {
        let header =
            request.headers().get("x-identity-header").map(|value| value.to_str().unwrap().to_owned());
        asked.lock().unwrap().push(format!("{} {}", request.uri(), header.unwrap_or_default()));
        let expires_on = SystemClock::new().now().0 + 3_600;
        Json(json!({
            "access_token": token,
            "expires_on": expires_on.to_string(),
            "resource": "of whoever asks",
            "token_type": "Bearer",
        }))
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state((token, asked));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/msi/token")
}
