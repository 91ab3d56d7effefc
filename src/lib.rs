//! Entrada: the OAuth front door for MCP servers whose users live in Microsoft Entra ID.

pub mod config;
