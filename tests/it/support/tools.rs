//! An MCP server behind the gateway, on rmcp. It trusts nothing but tokens that verify by Entrada's key set.

use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::post;
use http_body_util::BodyExt;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::Validation;
use jsonwebtoken::jwk::JwkSet;
use rmcp::ErrorData;
use rmcp::Peer;
use rmcp::RoleServer;
use rmcp::ServerHandler;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::tool::Extension;
use rmcp::model::ProgressNotificationParam;
use rmcp::model::RequestMetaObject;
use rmcp::tool;
use rmcp::tool_handler;
use rmcp::tool_router;
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Mutex as AsyncMutex;
use tokio::sync::OnceCell;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use url::Url;

use crate::support::program::PATIENCE;

/// A request that reached this server.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    /// None when the token did not verify.
    pub claims: Option<Value>,
}

/// A running server. It stops when dropped.
pub struct ToolServer {
    pub url: Url,
    shared: Arc<Shared>,
    /// The pieces of uploads, as they arrive.
    pieces: AsyncMutex<mpsc::UnboundedReceiver<String>>,
    server: JoinHandle<()>,
}

struct Shared {
    url: Url,
    issuer: String,
    http: reqwest::Client,
    keys: OnceCell<JwkSet>,
    arrived: Mutex<Vec<Arrived>>,
    /// What the second half of `count` waits for.
    go_on: Semaphore,
    pieces: mpsc::UnboundedSender<String>,
}

impl ToolServer {
    /// `issuer` is where Entrada will be.
    pub async fn start(issuer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/mcp", listener.local_addr().unwrap())).unwrap();
        let (sender, pieces) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            url: url.clone(),
            issuer: issuer.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            keys: OnceCell::new(),
            arrived: Mutex::default(),
            go_on: Semaphore::new(0),
            pieces: sender,
        });
        let tools = Arc::clone(&shared);
        let mcp = StreamableHttpService::new(
            move || Ok(Tools { shared: Arc::clone(&tools), tool_router: Tools::tool_router() }),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default(),
        );
        let router = Router::new()
            .route_service("/mcp", mcp)
            .route("/mcp/upload", post(upload))
            .with_state(Arc::clone(&shared))
            .layer(from_fn_with_state(Arc::clone(&shared), verified));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, pieces: AsyncMutex::new(pieces), server }
    }

    /// The requests that arrived since the last call.
    pub fn arrived(&self) -> Vec<Arrived> {
        std::mem::take(&mut *self.shared.arrived.lock().unwrap())
    }

    /// Lets `count` go on.
    pub fn go_on(&self) {
        self.shared.go_on.add_permits(1);
    }

    /// The next piece of an upload.
    pub async fn piece(&self) -> String {
        let next = tokio::time::timeout(PATIENCE, async { self.pieces.lock().await.recv().await });
        next.await.expect("a piece of the upload").unwrap()
    }
}

impl Drop for ToolServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    /// The claims of a token that is Entrada's, for this server, and not expired.
    async fn verify(&self, headers: &HeaderMap) -> Result<Value, String> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|text| text.strip_prefix("Bearer ")).ok_or("no bearer token")?;
        let keys = self.keys.get_or_try_init(|| self.fetch_keys()).await?;
        let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
        if header.typ.as_deref() != Some("at+jwt") {
            return Err("not an access token".to_owned());
        }
        let key = header.kid.and_then(|kid| keys.find(&kid)).ok_or("signed with an unknown key")?;
        // What the key is for decides, not what the token says of itself.
        let published = key.common.key_algorithm.map(|alg| alg.to_string());
        if published != Some(format!("{:?}", header.alg)) {
            return Err("signed with another algorithm than the key is for".to_owned());
        }
        let mut expected = Validation::new(header.alg);
        expected.set_required_spec_claims(&["exp", "iss", "aud"]);
        expected.set_issuer(&[&self.issuer]);
        expected.set_audience(&[self.url.as_str()]);
        let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
        let token = jsonwebtoken::decode(token, &key, &expected).map_err(|error| error.to_string())?;
        Ok(token.claims)
    }

    async fn fetch_keys(&self) -> Result<JwkSet, String> {
        let url = format!("{}/.well-known/jwks.json", self.issuer);
        let answer = self.http.get(url).send().await.map_err(|error| error.to_string())?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }
}

async fn verified(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let verdict = shared.verify(request.headers()).await;
    shared.arrived.lock().unwrap().push(Arrived {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        headers: request.headers().clone(),
        claims: verdict.clone().ok(),
    });
    match verdict {
        Ok(_) => next.run(request).await,
        Err(why) => (StatusCode::UNAUTHORIZED, why).into_response(),
    }
}

/// Tells of each piece when it is there, and in the end how many there were.
async fn upload(State(shared): State<Arc<Shared>>, mut body: Body) -> String {
    let mut count = 0;
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(piece) = frame.into_data() {
            shared.pieces.send(String::from_utf8_lossy(&piece).into_owned()).unwrap();
            count += 1;
        }
    }
    format!("{count} pieces")
}

/// The tools.
struct Tools {
    shared: Arc<Shared>,
    tool_router: ToolRouter<Self>,
}

#[tool_router(router = tool_router)]
impl Tools {
    #[tool(description = "The oid of whoever calls")]
    async fn whoami(&self, Extension(parts): Extension<http::request::Parts>) -> Result<String, ErrorData> {
        let claims = self.shared.verify(&parts.headers).await;
        let claims = claims.map_err(|why| ErrorData::invalid_request(why, None))?;
        Ok(claims["oid"].as_str().unwrap_or_default().to_owned())
    }

    #[tool(description = "Says one, waits until it may go on, says two")]
    async fn count(&self, meta: RequestMetaObject, peer: Peer<RoleServer>) -> Result<String, ErrorData> {
        let token = meta.get_progress_token().ok_or(ErrorData::invalid_params("no progress token", None))?;
        let one = ProgressNotificationParam::new(token, 1.0).with_total(2.0);
        peer.notify_progress(one)
            .await
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let permit = self.shared.go_on.acquire().await.expect("it is never closed");
        permit.forget();
        Ok("two".to_owned())
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Tools {}
