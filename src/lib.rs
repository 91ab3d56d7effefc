//! Entrada: the OAuth front door for MCP servers whose users live in Microsoft Entra ID.
//!
//! The layers, and what each may import, are in `docs/architecture.md`; a test keeps them.

pub mod adapters;
pub mod app;
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod domain;
pub mod flows;
pub mod gateway;
pub mod http;
pub mod ports;
pub mod protocol;
