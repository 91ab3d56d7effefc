//! Sessions of MCP servers, each bound to whoever began it.

use crate::flows::AuthServer;
use crate::flows::caller::Caller;

impl AuthServer {
    /// The server's session id as its owner is to know it.
    #[must_use]
    pub fn sealed_session(&self, caller: &Caller, id: &str) -> String {
        caller.holder.sessions.seal(&self.keys(), id)
    }

    /// The server's own session id, if the caller is its owner.
    #[must_use]
    pub fn opened_session(&self, caller: &Caller, text: &str) -> Option<String> {
        caller.holder.sessions.open(&self.keys(), text).ok()
    }
}
