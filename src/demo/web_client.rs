//! The demo's client with pages of its own, so that a person can go the way that the walk goes.
//!
//! It listens apart from Entrada, as a native client does, on loopback (RFC 8252 §7.3).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use askama::Template;
use axum::Router;
use axum::extract::OriginalUri;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use rmcp::transport::auth::AuthorizationRequest;
use url::Url;

use crate::demo::client;
use crate::demo::client::Authorizing;
use crate::demo::client::ClientError;
use crate::demo::invitation::Invitation;
use crate::demo::invitation::invitations;
use crate::demo::walk::CLIENT_NAME;
use crate::demo::watch::Unwatched;
use crate::domain::brand::Brand;
use crate::http::Look;
use crate::http::page;
use crate::http::with_security_headers;

/// Sign-ins that wait for a person. More are forgotten, the oldest first.
const MOST_WAITING: usize = 16;

struct WebClient {
    mcp_url: String,
    redirect_uri: String,
    /// The latest first.
    waiting: Mutex<VecDeque<Authorizing>>,
    look: Look,
}

#[derive(Template)]
#[template(path = "start.html")]
struct Start<'a> {
    look: &'a Look,
    invitations: Vec<Invitation>,
}

#[derive(Template)]
#[template(path = "done.html")]
struct Done<'a> {
    look: &'a Look,
    told: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "failed.html")]
struct NotSignedIn<'a> {
    look: &'a Look,
    why: String,
}

/// The client of this MCP server that is reached at `origin`.
pub fn router(mcp_url: &str, origin: &str) -> Router {
    let client = WebClient {
        mcp_url: mcp_url.to_owned(),
        redirect_uri: format!("{origin}/callback"),
        waiting: Mutex::default(),
        look: Look::new(&Brand::default()),
    };
    Router::new()
        .route("/", get(start))
        .route("/sign-in", get(sign_in))
        .route("/callback", get(callback))
        .layer(map_response(with_security_headers))
        .with_state(Arc::new(client))
}

async fn start(State(client): State<Arc<WebClient>>) -> Response {
    let look = &client.look;
    page(StatusCode::OK, look, &Start { look, invitations: invitations(&client.mcp_url) })
}

/// Goes as far as the browser, and hands over.
async fn sign_in(State(client): State<Arc<WebClient>>) -> Response {
    match client.begin().await {
        Ok(authorize) => (StatusCode::FOUND, [(header::LOCATION, authorize.to_string())]).into_response(),
        Err(error) => client.not_signed_in(&error),
    }
}

/// The person is back.
async fn callback(State(client): State<Arc<WebClient>>, OriginalUri(uri): OriginalUri) -> Response {
    match client.finish(uri.query().unwrap_or_default()).await {
        Ok(told) => page(StatusCode::OK, &client.look, &Done { look: &client.look, told }),
        Err(error) => client.not_signed_in(&error),
    }
}

impl WebClient {
    async fn begin(&self) -> Result<Url, ClientError> {
        let challenge = client::challenge(&self.mcp_url).await?;
        let request = AuthorizationRequest::new(&self.redirect_uri)
            .with_client_name(CLIENT_NAME)
            .with_challenge(&challenge);
        let authorizing = Authorizing::begin(&self.mcp_url, request, Arc::new(Unwatched)).await?;
        let authorize = authorizing.authorize().clone();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.truncate(MOST_WAITING - 1);
        waiting.push_front(authorizing);
        Ok(authorize)
    }

    /// Redeems, calls, refreshes, calls again; what the MCP server was told.
    async fn finish(&self, query: &str) -> Result<Vec<(&'static str, String)>, ClientError> {
        let back = Url::parse(&format!("{}?{query}", self.redirect_uri));
        let back = back.map_err(|_| ClientError::Unexpected("the browser came back with no address"))?;
        let unknown = ClientError::Unexpected("This sign-in has ended, or was begun elsewhere.");
        let client = self.take(&back).ok_or(unknown)?.finish(&back).await?;
        let session = client.connect(()).await?;
        session.call("whoami").await?;
        client.refresh().await?;
        let who = session.call("whoami").await;
        session.end().await;
        let who = who?;
        let said = |name: &str| who[name].as_str().unwrap_or("nothing").to_owned();
        Ok(["oid", "tid", "sub", "scope", "client_id"].map(|name| (name, said(name))).into())
    }

    fn take(&self, back: &Url) -> Option<Authorizing> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let at = waiting.iter().position(|authorizing| authorizing.is_answered_by(back))?;
        waiting.remove(at)
    }

    fn not_signed_in(&self, error: &ClientError) -> Response {
        let look = &self.look;
        page(StatusCode::BAD_REQUEST, look, &NotSignedIn { look, why: error.to_string() })
    }
}
