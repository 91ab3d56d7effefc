//! Entrada: the OAuth front door for MCP servers whose users live in Microsoft Entra ID.

#[cfg(feature = "demo")]
pub mod demo;
