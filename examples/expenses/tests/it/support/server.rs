//! The server under test, and clients of it.

use std::sync::Arc;

use expenses::FileLedger;
use expenses::Ledger;
use expenses::Settings;
use expenses::router;
use reqwest::RequestBuilder;
use rmcp::ClientLifecycleMode;
use rmcp::ClientServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::model::ClientConfig;
use rmcp::model::ProtocolVersion;
use rmcp::service::RoleClient;
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::issuer::Issuer;
use crate::support::issuer::token;

pub struct Server {
    pub issuer: Issuer,
    pub audience: String,
    pub data: TempDir,
    server: JoinHandle<()>,
}

impl Server {
    pub async fn start() -> Self {
        let data = TempDir::new().unwrap();
        let mut server = Self::over(Arc::new(FileLedger::open(data.path()).unwrap())).await;
        server.data = data;
        server
    }

    /// A server with this ledger, and nothing in its directory.
    pub async fn over(ledger: Arc<dyn Ledger>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let audience = format!("http://{}/mcp", listener.local_addr().unwrap());
        let (issuer, data) = (Issuer::start().await, TempDir::new().unwrap());
        let server = serve(listener, &issuer, &audience, ledger);
        Self { issuer, audience, data, server }
    }

    /// Another process over the same directory, as far as the ledger can tell. It shares the audience.
    pub async fn replica(&self) -> (String, JoinHandle<()>) {
        self.replica_over(Arc::new(FileLedger::open(self.data.path()).unwrap())).await
    }

    /// Another process over this ledger.
    pub async fn replica_over(&self, ledger: Arc<dyn Ledger>) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        (url, serve(listener, &self.issuer, &self.audience, ledger))
    }

    /// The claims of a good token of this person's.
    pub fn claims(&self, oid: &str) -> Value {
        self.issuer.claims(&self.audience, oid)
    }

    pub fn token(&self, oid: &str) -> String {
        token(&self.claims(oid))
    }

    /// A client that has this person's token.
    pub async fn client(&self, oid: &str) -> Client {
        Client::connect(&self.audience, &self.token(oid), initialize()).await
    }

    /// A tool call without any client library.
    pub fn post(&self, token: &str, tool: &str, arguments: &Value) -> RequestBuilder {
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": tool, "arguments": arguments },
        });
        self.request(reqwest::Method::POST).bearer_auth(token).body(body.to_string())
    }

    pub fn request(&self, method: reqwest::Method) -> RequestBuilder {
        reqwest::Client::new()
            .request(method, &self.audience)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
    }

    /// The status that a call of `whoami` with this token gets.
    pub async fn status(&self, token: &str) -> u16 {
        self.post(token, "whoami", &json!({})).send().await.unwrap().status().as_u16()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn serve(listener: TcpListener, issuer: &Issuer, audience: &str, ledger: Arc<dyn Ledger>) -> JoinHandle<()> {
    let router = router(Settings::new(&issuer.url, audience), ledger).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

/// Protocol 2025-11-25: the handshake.
pub fn initialize() -> ClientLifecycleMode {
    ClientLifecycleMode::Initialize
}

/// Protocol 2026-07-28: no handshake, and nothing to fall back on.
pub fn discover() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
}

pub struct Client(pub RunningService<RoleClient, ClientConfig>);

impl Client {
    pub async fn connect(url: &str, token: &str, lifecycle: ClientLifecycleMode) -> Self {
        let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token);
        let transport = StreamableHttpClientTransport::from_config(config);
        Self(ClientConfig::default().serve_with_lifecycle(transport, lifecycle).await.unwrap())
    }

    /// The structured result, or what the tool says is wrong.
    pub async fn call(&self, tool: &'static str, arguments: Value) -> Result<Value, String> {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let request = CallToolRequestParams::new(tool).with_arguments(arguments);
        let result = self.0.call_tool(request).await.unwrap();
        if result.is_error == Some(true) {
            return Err(result.content[0].as_text().unwrap().text.clone());
        }
        Ok(result.structured_content.unwrap())
    }

    pub async fn add(&self, category: &str, cents: i64) -> Value {
        self.call("add_expense", expense(category, cents)).await.unwrap()
    }

    pub async fn list(&self) -> Value {
        self.call("list_expenses", json!({})).await.unwrap()
    }
}

pub fn expense(category: &str, cents: i64) -> Value {
    json!({ "date": "2026-03-01", "cents": cents, "currency": "EUR", "category": category })
}
