//! What to paste where, so that other clients come in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use url::Url;

/// How clients call the server in their lists.
const NAME: &str = "entrada-demo";

/// A client, and the ways to bring it in, one of which is enough.
pub struct Invitation {
    pub client: &'static str,
    pub ways: Vec<Way>,
}

/// What a person does with what is printed.
pub enum Way {
    /// Opens this link.
    Open(String),
    /// Pastes this text into a file.
    Paste { into: &'static str, text: String },
    /// Runs this command. The words say what else.
    Run { command: String, also: &'static str },
}

/// For the clients that most people have.
#[must_use]
pub fn invitations(mcp_url: &str) -> Vec<Invitation> {
    let server = json!({ "type": "http", "url": mcp_url });
    let bare = json!({ "url": mcp_url });
    let vscode = json!({ "servers": { NAME: server } }).to_string();
    let cursor = json!({ "mcpServers": { NAME: bare } }).to_string();
    let claude = format!("claude mcp add --transport http {NAME} {mcp_url}");
    let inspector = format!("npx @modelcontextprotocol/inspector --transport http --server-url {mcp_url}");
    vec![
        Invitation {
            client: "VS Code",
            ways: vec![
                Way::Open(link("https://vscode.dev/redirect/mcp/install", &server.to_string())),
                Way::Paste { into: ".vscode/mcp.json", text: vscode },
            ],
        },
        Invitation {
            client: "Claude Code",
            ways: vec![Way::Run { command: claude, also: ", then /mcp in it" }],
        },
        Invitation {
            client: "Cursor",
            ways: vec![
                Way::Open(link("https://cursor.com/en/install-mcp", &STANDARD.encode(bare.to_string()))),
                Way::Paste { into: "~/.cursor/mcp.json", text: cursor },
            ],
        },
        Invitation {
            client: "MCP Inspector",
            ways: vec![Way::Run { command: inspector, also: ", with Node 22.19 or newer" }],
        },
    ]
}

fn link(base: &str, config: &str) -> String {
    let link = Url::parse_with_params(base, [("name", NAME), ("config", config)]);
    link.expect("a constant address parses").into()
}
