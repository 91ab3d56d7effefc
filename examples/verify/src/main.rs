//! An MCP server that verifies Entrada's tokens itself: docs/verify.md.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::Validation;
use jsonwebtoken::jwk::AlgorithmParameters;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::JwkSet;
use rmcp::ServerHandler;
use rmcp::handler::server::tool::Extension;
use rmcp::tool;
use rmcp::tool_handler;
use rmcp::tool_router;
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::Instant;

const READ: &str = "mcp.read";
/// As long as the JWK Set may be kept: a key that Entrada has dropped is believed no longer.
const LIFETIME: Duration = Duration::from_secs(300);
/// Keys are asked for at most this often: anybody can make up a `kid`.
const PAUSE: Duration = Duration::from_secs(10);

/// Who calls. `tid` and `oid` together are a person of Entra ID, and never another one.
#[derive(Clone, Deserialize)]
struct Caller {
    tid: String,
    oid: String,
    scope: String,
}

struct Verifier {
    issuer: String,
    resource: String,
    /// Where this server's own metadata are.
    metadata: String,
    http: reqwest::Client,
    keys: Mutex<Keys>,
}

#[derive(Default)]
struct Keys {
    set: Option<JwkSet>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

impl Verifier {
    async fn verify(&self, headers: &HeaderMap) -> Result<Caller, Response> {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let credentials = header.and_then(|value| value.split_once(' '));
        let Some((_, token)) = credentials.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
            return Err(self.challenge(StatusCode::UNAUTHORIZED, ""));
        };
        let bad = || self.challenge(StatusCode::UNAUTHORIZED, r#", error="invalid_token""#);
        let header = jsonwebtoken::decode_header(token).map_err(|_| bad())?;
        if header.typ.as_deref() != Some("at+jwt") || header.crit.is_some() {
            return Err(bad());
        }
        let key = self.key(&header.kid.unwrap_or_default()).await?.ok_or_else(bad)?;
        // The key says which algorithm, never the token.
        let mut expected = Validation::new(match key.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            _ => Algorithm::ES256,
        });
        expected.set_required_spec_claims(&["iss", "aud", "exp"]);
        expected.set_issuer(&[&self.issuer]);
        expected.set_audience(&[&self.resource]);
        let key = DecodingKey::from_jwk(&key).map_err(|_| bad())?;
        let caller = jsonwebtoken::decode::<Caller>(token, &key, &expected).map_err(|_| bad())?.claims;
        if !caller.scope.split(' ').any(|scope| scope == READ) {
            return Err(self.challenge(StatusCode::FORBIDDEN, r#", error="insufficient_scope""#));
        }
        Ok(caller)
    }

    /// The key with this id. 503 where Entrada does not say which keys it has: that is not the token's fault.
    async fn key(&self, kid: &str) -> Result<Option<Jwk>, Response> {
        let older = |then: Option<Instant>, than| then.is_none_or(|then| then.elapsed() >= than);
        let find = |keys: &Keys| keys.set.as_ref().and_then(|set| set.find(kid)).cloned();
        let mut keys = self.keys.lock().await;
        let known = find(&keys).is_some() && !older(keys.fetched, LIFETIME);
        if !known && older(keys.tried, PAUSE) {
            keys.tried = Some(Instant::now());
            if let Ok(set) = self.fetch().await {
                (keys.set, keys.fetched) = (Some(set), keys.tried);
            }
        }
        match older(keys.fetched, LIFETIME) {
            true => Err((StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")]).into_response()),
            false => Ok(find(&keys)),
        }
    }

    async fn fetch(&self) -> Result<JwkSet, Box<dyn Error + Send + Sync>> {
        let answer = self.http.get(format!("{}/.well-known/jwks.json", self.issuer)).send().await?;
        Ok(serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?)
    }

    /// Leads the client to this server's metadata, and from there to Entrada.
    fn challenge(&self, status: StatusCode, error: &str) -> Response {
        let challenge = format!(r#"Bearer resource_metadata="{}", scope="{READ}"{error}"#, self.metadata);
        (status, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
    }
}

async fn authenticate(
    State(verifier): State<Arc<Verifier>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Response> {
    let caller = verifier.verify(request.headers()).await?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// RFC 9728 §2.
async fn metadata(State(verifier): State<Arc<Verifier>>) -> impl IntoResponse {
    let document = serde_json::json!({
        "resource": verifier.resource,
        "authorization_servers": [verifier.issuer],
        "scopes_supported": [READ],
        "bearer_methods_supported": ["header"],
    });
    ([(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], Json(document))
}

struct Tools;

#[tool_router]
impl Tools {
    /// Tells who calls.
    #[tool]
    async fn whoami(&self, Extension(request): Extension<Parts>) -> Result<String, String> {
        let caller = request.extensions.get::<Caller>().ok_or("Nobody.")?;
        Ok(serde_json::json!({ "tid": caller.tid, "oid": caller.oid }).to_string())
    }
}

#[tool_handler]
impl ServerHandler for Tools {}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (issuer, resource) = (std::env::var("ISSUER")?, std::env::var("RESOURCE")?);
    let uri: Uri = resource.parse()?;
    let host = uri.authority().ok_or("RESOURCE is a URL with a host")?.as_str();
    let well_known = format!("/.well-known/oauth-protected-resource{}", uri.path());
    let verifier = Arc::new(Verifier {
        metadata: format!("{}://{host}{well_known}", uri.scheme_str().unwrap_or("https")),
        http: reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?,
        keys: Mutex::default(),
        issuer,
        resource: resource.clone(),
    });
    let mcp = StreamableHttpService::new(
        || Ok(Tools),
        Arc::new(NeverSessionManager::default()),
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_allowed_hosts([host]),
    );
    let router = Router::new()
        .route_service(uri.path(), mcp)
        .layer(from_fn_with_state(verifier.clone(), authenticate))
        .route(&well_known, get(metadata))
        .with_state(verifier);
    Ok(axum::serve(TcpListener::bind(std::env::var("LISTEN")?).await?, router).await?)
}
