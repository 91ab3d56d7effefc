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
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use crate::adapters::system::SystemEntropy;
use crate::demo::client;
use crate::demo::client::Authorizing;
use crate::demo::client::ClientError;
use crate::demo::invitation::Invitation;
use crate::demo::invitation::Way;
use crate::demo::invitation::invitations;
use crate::demo::watch::Unwatched;
use crate::domain::brand::Brand;
use crate::http::Look;
use crate::http::page;
use crate::http::with_security_headers;
use crate::ports::clock::Entropy;

/// Sign-ins that wait for a person. More are forgotten, the oldest first.
const MOST_WAITING: usize = 16;
/// Names the browser in which a sign-in was begun. `localhost` and 127.0.0.1 share no cookies.
const COOKIE: &str = "entrada-demo-client";

struct WebClient {
    mcp_url: String,
    redirect_uri: String,
    /// Each with the browser that it was begun in, the latest first.
    waiting: Mutex<VecDeque<(String, Authorizing)>>,
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
    why: &'a str,
}

/// Why a person is not signed in.
enum Trouble {
    Ours(&'static str),
    Client(ClientError),
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
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
async fn sign_in(State(client): State<Arc<WebClient>>, headers: HeaderMap) -> Response {
    // Another site would only push out the sign-ins of this one.
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return client.not_signed_in(&Trouble::Ours("Begin on this client's own page."));
    }
    let browser = browser(&headers).map_or_else(new_browser, str::to_owned);
    match client.begin(&browser).await {
        Ok(authorize) => {
            let cookie = format!("{COOKIE}={browser}; Path=/; HttpOnly; SameSite=Lax");
            let headers = [(header::LOCATION, authorize.to_string()), (header::SET_COOKIE, cookie)];
            (StatusCode::FOUND, headers).into_response()
        }
        Err(error) => client.not_signed_in(&error),
    }
}

/// The person is back.
async fn callback(
    State(client): State<Arc<WebClient>>,
    headers: HeaderMap,
    OriginalUri(uri): OriginalUri,
) -> Response {
    match client.finish(browser(&headers), uri.query().unwrap_or_default()).await {
        Ok(told) => page(StatusCode::OK, &client.look, &Done { look: &client.look, told }),
        Err(error) => client.not_signed_in(&error),
    }
}

impl WebClient {
    async fn begin(&self, browser: &str) -> Result<Url, Trouble> {
        let request = client::request(&self.redirect_uri, &client::challenge(&self.mcp_url).await?);
        let authorizing = Authorizing::begin(&self.mcp_url, request, Arc::new(Unwatched)).await?;
        let authorize = authorizing.authorize().clone();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.truncate(MOST_WAITING - 1);
        waiting.push_front((browser.to_owned(), authorizing));
        Ok(authorize)
    }

    /// Redeems, calls, refreshes, calls again, and gives the grant up; what the MCP server was told.
    async fn finish(
        &self,
        browser: Option<&str>,
        query: &str,
    ) -> Result<Vec<(&'static str, String)>, Trouble> {
        let back = Url::parse(&format!("{}?{query}", self.redirect_uri));
        let back = back.map_err(|_| Trouble::Ours("The browser came back with no address."))?;
        let unknown = Trouble::Ours("This sign-in has ended, or was begun in another browser.");
        let client = self.take(browser, &back).ok_or(unknown)?.finish(&back).await?;
        let session = client.connect(()).await?;
        session.call("whoami").await?;
        client.refresh().await?;
        let who = session.call("whoami").await?;
        session.end().await;
        client.revoke().await?;
        let said = |name: &str| who[name].as_str().unwrap_or("nothing").to_owned();
        Ok(["oid", "tid", "sub", "scope", "client_id"].map(|name| (name, said(name))).into())
    }

    /// The sign-in that this is the answer to, if it was begun in the same browser: whoever is sent here
    /// with another person's code must not find themselves signed in as that person.
    fn take(&self, browser: Option<&str>, back: &Url) -> Option<Authorizing> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let at = waiting.iter().position(|(begun_in, authorizing)| {
            Some(&**begun_in) == browser && authorizing.is_answered_by(back)
        })?;
        waiting.remove(at).map(|(_, authorizing)| authorizing)
    }

    /// Words for the person; the cause is for the log.
    fn not_signed_in(&self, trouble: &Trouble) -> Response {
        let look = &self.look;
        let why = match trouble {
            Trouble::Ours(words) => *words,
            Trouble::Client(ClientError::Refused(words)) => words.as_str(),
            Trouble::Client(error) => {
                tracing::warn!(%error, "the demo's client could not sign in");
                "The client could not go on. The terminal in which the demo runs tells why."
            }
        };
        page(StatusCode::BAD_REQUEST, look, &NotSignedIn { look, why })
    }
}

fn browser(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split("; ")).filter_map(|pair| pair.split_once('='));
    // It is sent back: only what one of ours looks like.
    let ours = |value: &str| matches!(URL_SAFE_NO_PAD.decode(value), Ok(bytes) if bytes.len() == 16);
    pairs.find(|(name, value)| *name == COOKIE && ours(value)).map(|(_, value)| value)
}

fn new_browser() -> String {
    let entropy: &dyn Entropy = &SystemEntropy::new();
    URL_SAFE_NO_PAD.encode(entropy.bytes::<16>())
}
