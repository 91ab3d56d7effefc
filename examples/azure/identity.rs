//! The endpoint in a container app that gives managed identities their tokens
//! (<https://learn.microsoft.com/azure/container-apps/managed-identity#rest-endpoint-reference>).

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use entrada::adapters::system::SystemClock;
use entrada::ports::clock::Clock;
use serde_json::json;
use tokio::net::TcpListener;

use crate::random;
use crate::vault::TOKEN;

const EXCHANGE: &str = "api://AzureADTokenExchange";
/// What the SDK asks for, whatever the account.
const COSMOS: &str = "https://cosmos.azure.com";
const VAULT: &str = "https://vault.azure.net";

pub struct IdentityEndpoint {
    pub url: String,
    /// What has to be in `X-IDENTITY-HEADER`.
    pub header: String,
}

/// Whose token it is, can be seen.
pub fn for_cosmos(client_id: &str) -> String {
    format!("cosmos-{client_id}")
}

struct Identities {
    header: String,
    /// For the federated credential.
    assertion: String,
    program: String,
    sample: String,
}

impl IdentityEndpoint {
    pub async fn start(assertion: String, program: &str, sample: &str) -> io::Result<Self> {
        let header = random();
        let (program, sample) = (program.to_owned(), sample.to_owned());
        let identities = Identities { header: header.clone(), assertion, program, sample };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/msi/token", listener.local_addr()?);
        let router = Router::new().route("/msi/token", get(give)).with_state(Arc::new(identities));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, header })
    }
}

async fn give(State(identities): State<Arc<Identities>>, uri: Uri, headers: HeaderMap) -> Response {
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let query: HashMap<String, String> = pairs.into_owned().collect();
    let of = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    // It keeps requests out that somebody has a program send, with an address of their choice.
    if headers.get("x-identity-header").is_none_or(|value| *value != identities.header) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Some(token) = identities.token(of("client_id"), of("resource").trim_end_matches('/')) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let expires_on = (SystemClock::new().now().0 + 86_400).to_string();
    let given = json!({ "access_token": token, "expires_on": expires_on, "resource": of("resource"), "token_type": "Bearer" });
    Json(given).into_response()
}

impl Identities {
    /// Whatever has no role has no token here, though in Azure it would have one that nobody takes.
    fn token(&self, client_id: &str, resource: &str) -> Option<String> {
        match resource {
            EXCHANGE => (client_id == self.program).then(|| self.assertion.clone()),
            VAULT => (client_id == self.program).then(|| TOKEN.to_owned()),
            COSMOS => [&self.program, &self.sample]
                .into_iter()
                .find(|known| *known == client_id)
                .map(|known| for_cosmos(known)),
            _ => None,
        }
    }
}
