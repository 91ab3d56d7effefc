//! An MCP client that nobody here wrote: rmcp's, with its OAuth. What it asks for on the way is written down.

use std::sync::Arc;
use std::sync::Mutex;

use http::Response;
use reqwest::redirect::Policy;
use rmcp::ClientHandler;
use rmcp::RoleClient;
use rmcp::ServiceError;
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::NotificationContext;
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::AuthClient;
use rmcp::transport::auth::AuthError;
use rmcp::transport::auth::AuthorizationManager;
use rmcp::transport::auth::AuthorizationRequest;
use rmcp::transport::auth::OAuthHttpClient;
use rmcp::transport::auth::OAuthHttpClientFuture;
use rmcp::transport::auth::OAuthHttpRedirectPolicy;
use rmcp::transport::auth::OAuthHttpRequest;
use rmcp::transport::auth::OAuthState;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::Value;
use tokio::sync::Mutex as AsyncMutex;
use tokio::sync::mpsc;
use url::Url;

use crate::support::entrada::endpoint;
use crate::support::program::PATIENCE;
use crate::support::program::Site;
use crate::support::vigil::Vigil;
use crate::support::web_browser::SignedIn;
use crate::support::web_browser::WebBrowser;
use crate::support::web_browser::head;

/// Where the client waits for the browser. Nothing listens there: the test brings it the address itself.
pub const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";

/// A request of the client's OAuth, and its answer.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub url: Url,
    pub body: String,
    pub status: u16,
    pub answer: String,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.answer).unwrap()
    }

    /// A parameter of the form that was sent.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut form = url::form_urlencoded::parse(self.body.as_bytes());
        form.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// Carries the client's OAuth requests, and remembers them.
pub struct Recorder {
    follow: reqwest::Client,
    stop: reqwest::Client,
    vigil: Arc<Vigil>,
    asked: Mutex<Vec<Asked>>,
}

impl Recorder {
    fn new(site: &Site) -> Arc<Self> {
        let client = |policy| reqwest::Client::builder().no_proxy().redirect(policy).build().unwrap();
        Arc::new(Self {
            follow: client(Policy::default()),
            stop: client(Policy::none()),
            vigil: Arc::clone(&site.vigil),
            asked: Mutex::default(),
        })
    }

    /// What was asked since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    async fn carry(&self, request: OAuthHttpRequest) -> Result<Response<Vec<u8>>, reqwest::Error> {
        let OAuthHttpRequest { request, redirect_policy, .. } = request;
        let url = Url::parse(&request.uri().to_string()).unwrap();
        let (method, body) =
            (request.method().to_string(), String::from_utf8_lossy(request.body()).into_owned());
        let http = if redirect_policy == OAuthHttpRedirectPolicy::Stop { &self.stop } else { &self.follow };
        let response = http.execute(reqwest::Request::try_from(request)?).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await?;
        let asked = Asked {
            method,
            url,
            body,
            status: status.as_u16(),
            answer: String::from_utf8_lossy(&bytes).into_owned(),
        };
        asked.parameter("code_verifier").into_iter().for_each(|verifier| self.vigil.never(verifier));
        self.vigil.watch(endpoint(asked.url.path()), &head(&headers), &asked.answer);
        self.asked.lock().unwrap().push(asked);
        let mut answer = Response::builder().status(status);
        *answer.headers_mut().unwrap() = headers;
        Ok(answer.body(bytes.into()).unwrap())
    }
}

/// As rmcp's own trait is implemented for a shared one.
struct Carrier(Arc<Recorder>);

impl OAuthHttpClient for Carrier {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move { Ok(self.0.carry(request).await?) })
    }
}

/// A client on its way to a token.
pub struct Authorizing {
    state: OAuthState,
    mcp_url: String,
    recorder: Arc<Recorder>,
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
pub struct Authorized {
    pub auth: AuthClient<reqwest::Client>,
    pub recorder: Arc<Recorder>,
    mcp_url: String,
}

/// An MCP session.
pub struct Session {
    pub running: RunningService<RoleClient, Ears>,
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
    let manager = AuthorizationManager::new(site.mcp_url()).await.unwrap();
    let transport = transport(&AuthClient::new(http(), manager), &site.mcp_url());
    let (ears, _) = mpsc::unbounded_channel();
    let error = Ears(ears).serve(transport).await.err().expect("nobody connects without a token");
    error.auth_challenge().unwrap_or_else(|| panic!("no challenge: {error:?}")).to_owned()
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
        let recorder = Recorder::new(site);
        let carrier = Arc::new(Carrier(Arc::clone(&recorder)));
        let mut state = OAuthState::new_with_oauth_http_client(site.mcp_url(), carrier).await.unwrap();
        state.start_authorization(request).await.unwrap();
        let authorize = Url::parse(&state.get_authorization_url().await.unwrap()).unwrap();
        Self { state, mcp_url: site.mcp_url(), recorder, authorize }
    }

    /// The person's part, in a new browser.
    pub async fn signed_in(&self, site: &Site, person: usize) -> SignedIn {
        site.script.person(person);
        WebBrowser::new(site).sign_in(self.authorize.as_str()).await
    }

    /// What was asked since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        self.recorder.asked()
    }

    /// Redeems what the browser brought.
    pub async fn finish(mut self, back: &Url) -> Result<Authorized, AuthError> {
        self.state.handle_callback_url(back.as_str()).await?;
        let manager = self.state.into_authorization_manager().expect("it has tokens");
        let auth = AuthClient::new(http(), manager);
        Ok(Authorized { auth, recorder: self.recorder, mcp_url: self.mcp_url })
    }
}

impl Authorized {
    pub async fn held(&self) -> Held {
        let (client_id, tokens) = self.auth.auth_manager.lock().await.get_credentials().await.unwrap();
        let tokens = serde_json::to_value(tokens.expect("tokens")).unwrap();
        let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
        Held { client_id, access: text("access_token"), refresh: text("refresh_token") }
    }

    /// The client's own refresh.
    pub async fn refresh(&self) -> Result<Held, AuthError> {
        self.auth.auth_manager.lock().await.refresh_token().await?;
        Ok(self.held().await)
    }

    pub async fn connect(&self) -> Session {
        let (ears, progress) = mpsc::unbounded_channel();
        let connecting = Ears(ears).serve(transport(&self.auth, &self.mcp_url));
        let running = tokio::time::timeout(PATIENCE, connecting).await.expect("a session").unwrap();
        Session { running, progress: AsyncMutex::new(progress) }
    }
}

impl Session {
    /// Calls a tool, and returns the text of its answer.
    pub async fn call(&self, tool: &'static str) -> Result<String, ServiceError> {
        let called = self.running.call_tool(CallToolRequestParams::new(tool));
        let result = tokio::time::timeout(PATIENCE, called).await.expect("an answer")?;
        let result = serde_json::to_value(result).unwrap();
        assert_ne!(result["isError"], true, "{result}");
        Ok(result["content"][0]["text"].as_str().unwrap().to_owned())
    }

    /// What the server said next, before its answer.
    pub async fn progress(&self) -> f64 {
        let next = tokio::time::timeout(PATIENCE, async { self.progress.lock().await.recv().await });
        next.await.expect("the server says something").unwrap()
    }

    /// Ends the session at the server.
    pub async fn end(self) {
        self.running.cancel().await.unwrap();
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn transport(
    auth: &AuthClient<reqwest::Client>,
    mcp_url: &str,
) -> StreamableHttpClientTransport<AuthClient<reqwest::Client>> {
    let config = StreamableHttpClientTransportConfig::with_uri(mcp_url);
    StreamableHttpClientTransport::with_client(auth.clone(), config)
}
