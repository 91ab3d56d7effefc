//! The `expenses` program: settings from the environment, and the server of the library.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use expenses::FileLedger;
use expenses::Ledger;
use expenses::PATH;
use expenses::Settings;
use tokio::net::TcpListener;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

const USAGE: &str = "\
EXPENSES_ISSUER    Entrada's public URL, such as https://mcp.example.com (required)
EXPENSES_AUDIENCE  this server as the gateway calls it, exactly as in `upstream` of Entrada's
                   configuration, such as http://127.0.0.1:9000/mcp (required)
EXPENSES_LISTEN    address and port [127.0.0.1:9000]
EXPENSES_DATA      directory of the expenses [data/expenses]
EXPENSES_JWKS_URL  where the issuer's keys are [the issuer's /.well-known/jwks.json]
EXPENSES_HOSTS     `Host` values to answer, separated by commas [loopback and the audience's]
RUST_LOG           what to log, to standard error [info,rmcp=warn]

In Azure Cosmos DB instead of a directory, if built with `--features cosmos`:
EXPENSES_COSMOS_ENDPOINT   URI of the account, such as https://example.documents.azure.com/
EXPENSES_COSMOS_DATABASE   its database (required then)
EXPENSES_COSMOS_CONTAINER  the container, whose partition key is /sub (required then)
EXPENSES_MANAGED_IDENTITY  client id of a user-assigned identity [the machine's own]";

#[tokio::main]
async fn main() -> ExitCode {
    let filter = variable("RUST_LOG").unwrap_or_else(|| "info,rmcp=warn".to_owned());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            eprintln!("expenses: {words}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let (Some(issuer), Some(audience)) = (variable("EXPENSES_ISSUER"), variable("EXPENSES_AUDIENCE")) else {
        return Err(format!("EXPENSES_ISSUER and EXPENSES_AUDIENCE must be set.\n\n{USAGE}"));
    };
    let mut settings = Settings::new(&issuer, &audience);
    if let Some(url) = variable("EXPENSES_JWKS_URL") {
        settings.jwks_url = url;
    }
    if let Some(hosts) = variable("EXPENSES_HOSTS") {
        settings.allowed_hosts = hosts.split(',').map(|host| host.trim().to_owned()).collect();
    }
    let ledger = ledger()?;
    let address = variable("EXPENSES_LISTEN").unwrap_or_else(|| "127.0.0.1:9000".to_owned());
    let listener = TcpListener::bind(&address)
        .await
        .map_err(|error| format!("EXPENSES_LISTEN: cannot listen on {address}: {error}."))?;
    let router = expenses::router(settings, ledger)
        .map_err(|error| format!("The client for the issuer's keys cannot be made: {error}."))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    tracing::info!(%address, path = PATH, issuer, audience, "listening");
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let stopped = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await.map_err(|error| error.to_string())
}

/// In Cosmos DB if there is an endpoint, else in files.
fn ledger() -> Result<Arc<dyn Ledger>, String> {
    let data = variable("EXPENSES_DATA");
    if let Some(endpoint) = variable("EXPENSES_COSMOS_ENDPOINT") {
        if data.is_some() {
            return Err("EXPENSES_DATA and EXPENSES_COSMOS_ENDPOINT are both set. Expenses are kept in one place: unset \
                        one of them."
                .to_owned());
        }
        return in_cosmos(&endpoint);
    }
    let data = data.unwrap_or_else(|| "data/expenses".to_owned());
    let ledger =
        FileLedger::open(&data).map_err(|error| format!("EXPENSES_DATA: {data} cannot be used: {error}."))?;
    Ok(Arc::new(ledger))
}

#[cfg(feature = "cosmos")]
fn in_cosmos(endpoint: &str) -> Result<Arc<dyn Ledger>, String> {
    let required = ["EXPENSES_COSMOS_DATABASE", "EXPENSES_COSMOS_CONTAINER"];
    let [Some(database), Some(container)] = required.map(variable) else {
        let [database, container] = required;
        return Err(format!(
            "EXPENSES_COSMOS_ENDPOINT is set, so {database} and {container} must be set too."
        ));
    };
    let credential = expenses::managed_identity(variable("EXPENSES_MANAGED_IDENTITY"))
        .map_err(|error| format!("EXPENSES_MANAGED_IDENTITY: there is no identity to be had: {error}."))?;
    let ledger = expenses::CosmosLedger::new(endpoint, &database, &container, credential)
        .map_err(|words| format!("EXPENSES_COSMOS_ENDPOINT: {words}"))?;
    Ok(Arc::new(ledger))
}

#[cfg(not(feature = "cosmos"))]
fn in_cosmos(_endpoint: &str) -> Result<Arc<dyn Ledger>, String> {
    Err("EXPENSES_COSMOS_ENDPOINT is set, and this program was built without Cosmos DB. Build it with `--features \
         cosmos`, or unset it to keep expenses in files."
        .to_owned())
}

/// An empty variable counts as none.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
