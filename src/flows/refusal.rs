//! How a refusal is said: a name for us, a code for clients, a sentence for people.

use crate::protocol::error::ErrorCode;
use crate::protocol::error::OAuthError;

/// One row of a flow's table of reasons.
#[derive(Clone, Copy)]
pub struct Row {
    /// How logs and metrics name it.
    pub name: &'static str,
    pub code: ErrorCode,
    /// What went wrong and what to do next, in words of ours (RFC 6749 §5.2 limits the characters).
    pub sentence: &'static str,
    /// What to do in the application, where that is the remedy.
    pub remedies: &'static [Remedy],
}

/// How one application forgets what it has stored for this server.
pub struct Remedy {
    pub application: &'static str,
    /// Where it is typed or chosen.
    pub place: &'static str,
    /// What is typed or chosen there.
    pub command: &'static str,
    /// What else to know.
    pub note: &'static str,
}

/// Why a flow refused. Each flow has one enum of reasons and one exhaustive table.
pub trait Refusal: Copy {
    /// The row of this reason.
    fn row(self) -> Row;

    /// What the client is told.
    fn oauth(self) -> OAuthError {
        let Row { code, sentence, .. } = self.row();
        OAuthError { code, description: sentence }
    }
}

/// Writes a row.
#[must_use]
pub const fn row(name: &'static str, code: ErrorCode, sentence: &'static str) -> Row {
    Row { name, code, sentence, remedies: &[] }
}

/// How an application forgets the registration that it has stored. Hardly any does so by itself when /authorize
/// refuses it (mcp-remote does, which asks there for JSON), and each does so in another way.
pub const FORGET_REGISTRATION: &[Remedy] = &[
    Remedy {
        application: "VS Code",
        place: "In the Command Palette",
        command: "Authentication: Remove Dynamic Authentication Providers",
        note: "Then choose this server.",
    },
    Remedy {
        application: "Claude Code",
        place: "In a session",
        command: "/mcp",
        note: "Then choose this server, and there Clear authentication.",
    },
    Remedy {
        application: "Cursor",
        place: "In the Command Palette",
        command: "Cursor: Clear All MCP Tokens",
        note: "It signs you out of every MCP server.",
    },
    Remedy {
        application: "mcp-remote",
        place: "In a terminal",
        command: "rm -rf ~/.mcp-auth",
        note: "It signs you out of every server that mcp-remote connects.",
    },
];

/// Writes a row whose remedy is to have the application register anew.
#[must_use]
pub const fn row_of_registration(name: &'static str, code: ErrorCode, sentence: &'static str) -> Row {
    Row { remedies: FORGET_REGISTRATION, ..row(name, code, sentence) }
}

/// Rides on a response that refuses, for the log and the metrics. It does not leave the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedFor(pub &'static str);

/// Rides beside it: who was refused, by the short hash of the id that was sent, known or not, and the host that
/// was to receive a code; or, at the gateway, whose token it was, and the scopes that would be needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedClient {
    pub client: Option<String>,
    pub redirect_host: Option<String>,
    pub subject: Option<String>,
    pub scope: Option<String>,
}

/// Rides beside [`RefusedFor`] where the audit trail has the same refusal already: it is only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;
