//! What to paste where, so that other clients come in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use url::Url;

/// How clients call the server in their lists.
const NAME: &str = "entrada-demo";

/// A client, and the ways to bring it in: what to do, and the text to paste or open.
pub struct Invitation {
    pub client: &'static str,
    pub ways: Vec<(&'static str, String)>,
}

/// For the clients that most people have.
#[must_use]
pub fn invitations(mcp_url: &str) -> Vec<Invitation> {
    let server = json!({ "type": "http", "url": mcp_url });
    let vscode = json!({ "servers": { NAME: server } });
    let cursor = json!({ "mcpServers": { NAME: { "url": mcp_url } } });
    vec![
        Invitation {
            client: "VS Code",
            ways: vec![
                ("open", link("https://vscode.dev/redirect/mcp/install", &server.to_string())),
                ("or paste into .vscode/mcp.json", vscode.to_string()),
            ],
        },
        Invitation {
            client: "Claude Code",
            ways: vec![("run, then /mcp in it", format!("claude mcp add --transport http {NAME} {mcp_url}"))],
        },
        Invitation {
            client: "Cursor",
            ways: vec![
                (
                    "open",
                    link(
                        "https://cursor.com/en/install-mcp",
                        &STANDARD.encode(json!({ "url": mcp_url }).to_string()),
                    ),
                ),
                ("or paste into ~/.cursor/mcp.json", cursor.to_string()),
            ],
        },
        Invitation {
            client: "MCP Inspector",
            ways: vec![(
                "run, with Node 22 or newer",
                format!("npx @modelcontextprotocol/inspector --transport http --server-url {mcp_url}"),
            )],
        },
    ]
}

fn link(base: &str, config: &str) -> String {
    let link = Url::parse_with_params(base, [("name", NAME), ("config", config)]);
    link.expect("a constant address parses").into()
}
