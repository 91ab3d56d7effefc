//! The command line.

#![expect(clippy::print_stderr, reason = "a command answers where it was asked")]

mod api_key;
mod client;
#[cfg(feature = "demo")]
mod demo;
mod entra;
mod grant;
mod keys;
mod log;
mod server;
mod shown;
mod store;

use std::io::Write;
use std::io::stdout;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;

use crate::app::exit::Failure;
use crate::app::serve;
use crate::config;
use crate::config::Config;
use crate::config::LogFormat;

/// The OAuth front door for MCP servers whose users live in Microsoft Entra ID.
#[derive(Debug, Parser)]
#[command(name = "entrada", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 ok · 1 failed while running · 2 usage or configuration · \
3 store locked, corrupt or away · 4 root key missing, readable by others, or not the store's";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the authorization server and the gateway.
    Serve(Configuration),
    /// Try it: everything on this machine, without a tenant. Walks the whole flow once, then keeps serving.
    #[cfg(feature = "demo")]
    Demo(demo::Options),
    /// Look at sign-ins that are remembered, and end them. Asks the running server.
    #[command(subcommand)]
    Grant(grant::Command),
    /// Look at clients, keep them out and let them in again, and make one for the configuration.
    #[command(subcommand)]
    Client(client::Command),
    /// Make, list, rotate and revoke API keys, for agents that have no browser.
    #[command(subcommand)]
    Key(api_key::Command),
    /// Look at Entrada's own keys, which sign and seal, and replace them.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Make the database and the container of Cosmos DB.
    #[command(subcommand)]
    Store(store::Command),
    /// Make the app registration in Entra ID by which people sign in.
    #[command(subcommand)]
    Entra(entra::Command),
    /// Print every setting with its environment variable, default and meaning, as a Markdown table.
    Settings,
}

/// Where the configuration is.
#[derive(Debug, clap::Args)]
struct Configuration {
    /// The configuration file (TOML). Environment variables ENTRADA_… win over it, or stand in for it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Configuration {
    fn load(&self) -> Result<Config, Failure> {
        config::load(self.config.as_deref(), std::env::vars_os()).map_err(|problems| {
            let unread = "\nNo file was read: --config FILE names one.";
            Failure::Usage(format!("{problems}{}", if self.config.is_none() { unread } else { "" }))
        })
    }
}

/// Runs the program: reads its arguments, does what they say, and tells how it ended.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match execute(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code()
        }
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(configuration) => {
            let config = configuration.load()?;
            log::start(config.log_format == LogFormat::Json);
            runtime()?.block_on(serve::serve(&config))
        }
        #[cfg(feature = "demo")]
        Command::Demo(options) => runtime()?.block_on(demo::execute(options)),
        Command::Grant(command) => runtime()?.block_on(grant::execute(command)),
        Command::Client(command) => runtime()?.block_on(client::execute(command)),
        Command::Key(command) => runtime()?.block_on(api_key::execute(command)),
        Command::Keys(command) => runtime()?.block_on(keys::execute(command)),
        Command::Store(command) => runtime()?.block_on(store::execute(command)),
        Command::Entra(command) => runtime()?.block_on(entra::execute(command)),
        Command::Settings => say(config::markdown_table().trim_end()),
    }
}

/// Prints a line. Whoever read may have gone, as `head` does.
fn say(line: &str) -> Result<(), Failure> {
    writeln!(stdout(), "{line}")
        .map_err(|error| Failure::Running(format!("Nothing can be printed: {error}.")))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| Failure::Running(format!("The runtime cannot start: {error}.")))
}
