//! The demo's MCP client, which is rmcp's, on a test's site: what cannot go wrong there panics.

use std::sync::Arc;

use entrada::demo::client;
use entrada::demo::client::ClientError;
use entrada::demo::watch::Asked;
use rmcp::ClientHandler;
use rmcp::RoleClient;
use rmcp::ServiceError;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::NotificationContext;
use rmcp::transport::auth::AuthorizationRequest;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::sync::Mutex as AsyncMutex;
use tokio::sync::mpsc;
use url::Url;

use crate::support::program::PATIENCE;
use crate::support::program::Site;
use crate::support::web_browser::Lookout;
use crate::support::web_browser::SignedIn;
use crate::support::web_browser::WebBrowser;

/// Where the client waits for the browser. Nothing listens there: the test brings it the address itself.
pub const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";

/// A client on its way to a token.
pub struct Authorizing {
    client: client::Authorizing,
    /// What it opens in the browser.
    pub authorize: Url,
}

/// What the client was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub client_id: String,
    pub access: String,
    pub refresh: String,
}

/// A client with tokens.
pub struct Authorized(client::Authorized);

/// An MCP session.
pub struct Session {
    pub session: client::Session<Ears>,
    progress: AsyncMutex<mpsc::UnboundedReceiver<f64>>,
}

/// Hears what the server says before its answer.
pub struct Ears(mpsc::UnboundedSender<f64>);

impl ClientHandler for Ears {
    async fn on_progress(&self, said: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.0.send(said.progress).ok();
    }
}

/// Connects without a token, and returns the challenge.
pub async fn challenge(site: &Site) -> String {
    client::challenge(&site.mcp_url()).await.unwrap()
}

/// Registers, signs `person` in, and takes the tokens.
pub async fn sign_in(site: &Site, person: usize) -> Authorized {
    let client = Authorizing::begin(site, request(&challenge(site).await)).await;
    let SignedIn { back, .. } = client.signed_in(site, person).await;
    client.finish(&back).await.unwrap()
}

/// What a client asks for that comes from this challenge.
pub fn request(challenge: &str) -> AuthorizationRequest {
    AuthorizationRequest::new(REDIRECT_URI).with_client_name("Rusty").with_challenge(challenge)
}

impl Authorizing {
    /// Everything up to the browser.
    pub async fn begin(site: &Site, request: AuthorizationRequest) -> Self {
        let lookout = Arc::new(Lookout::of(site));
        let client = client::Authorizing::begin(&site.mcp_url(), request, lookout).await.unwrap();
        let authorize = client.authorize().clone();
        Self { client, authorize }
    }

    /// The person's part, in a new browser.
    pub async fn signed_in(&self, site: &Site, person: usize) -> SignedIn {
        site.script.person(person);
        WebBrowser::new(site).sign_in(self.authorize.as_str()).await
    }

    /// What was asked since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        self.client.asked()
    }

    /// Redeems what the browser brought.
    pub async fn finish(self, back: &Url) -> Result<Authorized, ClientError> {
        self.client.finish(back).await.map(Authorized)
    }
}

impl Authorized {
    pub async fn held(&self) -> Held {
        Held::from(self.0.tokens().await.unwrap())
    }

    /// The client's own refresh.
    pub async fn refresh(&self) -> Result<Held, ClientError> {
        self.0.refresh().await.map(Held::from)
    }

    /// What was asked since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        self.0.asked()
    }

    pub async fn connect(&self) -> Session {
        let (ears, progress) = mpsc::unbounded_channel();
        let connecting = self.0.connect(Ears(ears));
        let session = tokio::time::timeout(PATIENCE, connecting).await.expect("a session").unwrap();
        Session { session, progress: AsyncMutex::new(progress) }
    }
}

impl From<client::Tokens> for Held {
    fn from(tokens: client::Tokens) -> Self {
        let text = |token: secrecy::SecretString| token.expose_secret().to_owned();
        Self { client_id: tokens.client_id, access: text(tokens.access), refresh: text(tokens.refresh) }
    }
}

impl Session {
    /// Calls a tool, and returns the text of its answer.
    pub async fn call(&self, tool: &'static str) -> Result<String, ServiceError> {
        let called = self.session.call(tool);
        match tokio::time::timeout(PATIENCE, called).await.expect("an answer") {
            Ok(Value::String(text)) => Ok(text),
            Ok(other) => panic!("not a text: {other}"),
            Err(ClientError::Call(error)) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }

    /// What the server said next, before its answer.
    pub async fn progress(&self) -> f64 {
        let next = tokio::time::timeout(PATIENCE, async { self.progress.lock().await.recv().await });
        next.await.expect("the server says something").unwrap()
    }

    /// Ends the session at the server.
    pub async fn end(self) {
        self.session.end().await;
    }
}
