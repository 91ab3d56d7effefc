//! An MCP client that nobody here wrote: rmcp's, with its OAuth. What it asks for on the way is written down.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use reqwest::redirect;
use rmcp::ClientHandler;
use rmcp::RoleClient;
use rmcp::ServiceError;
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::service::ClientInitializeError;
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
use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde_json::Value;
use thiserror::Error;
use url::Url;

use crate::demo::browser::direct;
use crate::demo::watch::Asked;
use crate::demo::watch::Watch;

/// What it calls itself.
pub const NAME: &str = "Entrada demo";

/// Why the client does not get on.
#[derive(Debug, Error)]
pub enum ClientError {
    /// In one of the requests of OAuth, or in what came back.
    #[error("{0}")]
    Auth(#[from] AuthError),
    /// The authorization server says no, in its own words (RFC 6749 §4.1.2.1).
    #[error("{0}")]
    Refused(String),
    /// No MCP session.
    #[error("{0}")]
    Connect(#[from] Box<ClientInitializeError>),
    /// A call through a session.
    #[error("{0}")]
    Call(#[from] ServiceError),
    /// The tool was called, and says that it failed.
    #[error("the tool failed: {0}")]
    Tool(String),
    /// Something that every server does was not done.
    #[error("{0}")]
    Unexpected(&'static str),
}

/// Carries the client's OAuth requests, and remembers them.
struct Recorder {
    follow: reqwest::Client,
    stop: reqwest::Client,
    watch: Arc<dyn Watch>,
    asked: Mutex<Vec<Asked>>,
}

impl Recorder {
    async fn carry(&self, request: OAuthHttpRequest) -> Result<Response<Vec<u8>>, reqwest::Error> {
        let OAuthHttpRequest { request, redirect_policy, .. } = request;
        let http = if redirect_policy == OAuthHttpRedirectPolicy::Stop { &self.stop } else { &self.follow };
        let request = reqwest::Request::try_from(request)?;
        let (method, url) = (request.method().to_string(), request.url().clone());
        let sent = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let body = String::from_utf8_lossy(sent).into_owned();
        let response = http.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await?;
        let answer = String::from_utf8_lossy(&bytes).into_owned();
        let asked = Asked { method, url, body, status: status.as_u16(), answer };
        self.watch.asked(&asked);
        self.watch.answered(&asked.url, &headers, &asked.answer);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        let mut answer = Response::new(bytes.into());
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

/// As rmcp's own trait is implemented for a shared one.
struct Carrier(Arc<Recorder>);

impl OAuthHttpClient for Carrier {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move { Ok(self.0.carry(request).await?) })
    }
}

/// Connects without a token, and returns the challenge (RFC 6750 §3).
///
/// # Errors
/// When the server lets it in, cannot be reached, or refuses without a challenge.
pub async fn challenge(mcp_url: &str) -> Result<String, ClientError> {
    let manager = AuthorizationManager::new(mcp_url).await?;
    let transport = transport(&AuthClient::new(direct(redirect::Policy::default()), manager), mcp_url);
    match ().serve(transport).await {
        Ok(_) => Err(ClientError::Unexpected("the server let a client in that had no token")),
        Err(error) => error.auth_challenge().map(str::to_owned).ok_or_else(|| Box::new(error).into()),
    }
}

/// What the demo's client asks for, with that challenge before it.
#[must_use]
pub fn request(redirect_uri: &str, challenge: &str) -> AuthorizationRequest {
    AuthorizationRequest::new(redirect_uri).with_client_name(NAME).with_challenge(challenge)
}

/// A client on its way to a token.
pub struct Authorizing {
    state: OAuthState,
    mcp_url: String,
    recorder: Arc<Recorder>,
    authorize: Url,
}

impl Authorizing {
    /// Everything up to the browser: metadata, registration, the authorization request.
    ///
    /// # Errors
    /// When the metadata or the registration are not what a client can go on with.
    pub async fn begin(
        mcp_url: &str,
        request: AuthorizationRequest,
        watch: Arc<dyn Watch>,
    ) -> Result<Self, ClientError> {
        let (follow, stop) = (direct(redirect::Policy::default()), direct(redirect::Policy::none()));
        let recorder = Arc::new(Recorder { follow, stop, watch, asked: Mutex::default() });
        let carrier = Arc::new(Carrier(Arc::clone(&recorder)));
        let mut state = OAuthState::new_with_oauth_http_client(mcp_url, carrier).await?;
        // Boxed: it is twenty kilobytes.
        Box::pin(state.start_authorization(request)).await?;
        let authorize = Url::parse(&state.get_authorization_url().await?)
            .map_err(|_| ClientError::Unexpected("the authorization request is no URL"))?;
        Ok(Self { state, mcp_url: mcp_url.to_owned(), recorder, authorize })
    }

    /// What it opens in the browser.
    #[must_use]
    pub fn authorize(&self) -> &Url {
        &self.authorize
    }

    /// What was asked since the last call.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        asked(&self.recorder)
    }

    /// Whether it is the answer to this request.
    #[must_use]
    pub fn is_answered_by(&self, back: &Url) -> bool {
        parameter(back, "state") == parameter(&self.authorize, "state")
    }

    /// Redeems what the browser brought back.
    ///
    /// # Errors
    /// When it is an error, belongs to another request, or the code is refused.
    pub async fn finish(mut self, back: &Url) -> Result<Authorized, ClientError> {
        // rmcp would only miss the code.
        if let (true, Some(error)) = (self.is_answered_by(back), parameter(back, "error")) {
            return Err(ClientError::Refused(parameter(back, "error_description").unwrap_or(error)));
        }
        self.state.handle_callback_url(back.as_str()).await?;
        let manager = self.state.into_authorization_manager();
        let manager = manager.ok_or(ClientError::Unexpected("the client has no tokens after all"))?;
        let auth = AuthClient::new(direct(redirect::Policy::default()), manager);
        Ok(Authorized { auth, recorder: self.recorder, mcp_url: self.mcp_url })
    }
}

/// What the client was given.
pub struct Tokens {
    pub client_id: String,
    pub access: SecretString,
    pub refresh: SecretString,
}

/// A client with tokens.
pub struct Authorized {
    auth: AuthClient<reqwest::Client>,
    recorder: Arc<Recorder>,
    mcp_url: String,
}

impl Authorized {
    /// What it holds now.
    ///
    /// # Errors
    /// When it was given no access token and refresh token.
    pub async fn tokens(&self) -> Result<Tokens, ClientError> {
        let (client_id, tokens) = self.auth.auth_manager.lock().await.get_credentials().await?;
        let tokens = serde_json::to_value(tokens).unwrap_or_default();
        let text = |name: &str| tokens[name].as_str().map(SecretString::from);
        match (text("access_token"), text("refresh_token")) {
            (Some(access), Some(refresh)) => Ok(Tokens { client_id, access, refresh }),
            _ => Err(ClientError::Unexpected("the client was not given an access and a refresh token")),
        }
    }

    /// The client's own refresh (RFC 6749 §6).
    ///
    /// # Errors
    /// When it is refused, or not answered.
    pub async fn refresh(&self) -> Result<Tokens, ClientError> {
        self.auth.auth_manager.lock().await.refresh_token().await?;
        self.tokens().await
    }

    /// Gives the grant up (RFC 7009). rmcp has no call for it.
    ///
    /// # Errors
    /// When there is nothing to ask, or the answer is not 200.
    pub async fn revoke(&self) -> Result<(), ClientError> {
        let resolution = self.auth.auth_manager.lock().await.resolve_metadata().await?;
        let endpoint =
            resolution.metadata.additional_fields.get("revocation_endpoint").and_then(Value::as_str);
        let endpoint = endpoint.ok_or(ClientError::Unexpected("there is no revocation endpoint"))?;
        let Tokens { client_id, refresh, .. } = self.tokens().await?;
        let form = [("token", refresh.expose_secret()), ("client_id", client_id.as_str())];
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = direct(redirect::Policy::none())
            .post(endpoint)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        match request.send().await.map(|answer| answer.status()) {
            Ok(StatusCode::OK) => Ok(()),
            _ => Err(ClientError::Unexpected("the grant was not revoked")),
        }
    }

    /// What was asked since the last call.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        asked(&self.recorder)
    }

    /// Opens an MCP session, whose notifications go to `handler`.
    ///
    /// # Errors
    /// When the server opens none.
    pub async fn connect<H: ClientHandler>(&self, handler: H) -> Result<Session<H>, ClientError> {
        let running = handler.serve(transport(&self.auth, &self.mcp_url)).await.map_err(Box::new)?;
        Ok(Session { running })
    }
}

/// An MCP session.
pub struct Session<H: ClientHandler> {
    pub running: RunningService<RoleClient, H>,
}

impl<H: ClientHandler> Session<H> {
    /// Calls a tool without arguments: the structured result, or else the text of the result.
    ///
    /// # Errors
    /// When the call is not answered, or the tool fails.
    pub async fn call(&self, tool: &'static str) -> Result<Value, ClientError> {
        let result = self.running.call_tool(CallToolRequestParams::new(tool)).await?;
        let text = result.content.first().and_then(|content| content.as_text());
        let text = text.map(|content| content.text.clone()).unwrap_or_default();
        if result.is_error == Some(true) {
            return Err(ClientError::Tool(text));
        }
        Ok(result.structured_content.unwrap_or(Value::String(text)))
    }

    /// Ends the session at the server.
    pub async fn end(self) {
        // An error means that it has ended already.
        self.running.cancel().await.ok();
    }
}

/// A parameter of the query.
#[must_use]
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn asked(recorder: &Recorder) -> Vec<Asked> {
    std::mem::take(&mut *recorder.asked.lock().unwrap_or_else(PoisonError::into_inner))
}

fn transport(
    auth: &AuthClient<reqwest::Client>,
    mcp_url: &str,
) -> StreamableHttpClientTransport<AuthClient<reqwest::Client>> {
    let config = StreamableHttpClientTransportConfig::with_uri(mcp_url);
    StreamableHttpClientTransport::with_client(auth.clone(), config)
}
