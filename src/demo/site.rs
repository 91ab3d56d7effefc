//! Everything on one machine: Entrada as `serve` runs it, an identity provider, an MCP server.

use std::ffi::OsString;
use std::io;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use expenses::FileLedger;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::adapters::system::SystemClock;
use crate::adapters::system::SystemEntropy;
use crate::app::exit::Failure;
use crate::app::router;
use crate::app::serve::serve_until;
use crate::app::start::Started;
use crate::app::start::start;
use crate::app::start::upstream_client;
use crate::config;
use crate::config::Config;
use crate::demo::idp::DevIdp;
use crate::demo::idp::NoScript;
use crate::demo::idp::Options;
use crate::demo::idp::Person;
use crate::ports::clock::Clock;
use crate::ports::clock::Entropy;
use crate::protocol::metadata::path;

/// A tenant that does not exist.
const TENANT: &str = "0a1c0de0-0000-4000-8000-000000000000";
/// Entrada's own registration there.
const APPLICATION: &str = "0a1c0de0-0000-4000-8000-0000000000ff";
/// How often a free port is looked for that is free for both families of addresses.
const ATTEMPTS: usize = 16;

/// Everything that is ready to run. The identity provider and the MCP server run already.
pub struct Site {
    pub mcp_url: String,
    pub people: Vec<Person>,
    config: Config,
    started: Started,
    public: Router,
    listeners: Vec<TcpListener>,
    _idp: DevIdp,
    expenses: JoinHandle<()>,
}

impl Site {
    /// Makes everything that is served, on loopback only.
    ///
    /// # Errors
    /// When the port is taken or the directory cannot be used, in words.
    pub async fn new(port: u16, data_dir: &Path) -> Result<Self, Failure> {
        let listeners = bind_localhost(port).await?;
        let port = local_port(&listeners[0])?;
        let public_url = format!("http://localhost:{port}");
        let (idp_listener, tools_listener) = (bind_loopback().await?, bind_loopback().await?);
        let upstream = format!("http://127.0.0.1:{}{}", local_port(&tools_listener)?, expenses::PATH);

        let secret = secret();
        let people = Person::three(TENANT);
        let idp = identity_provider(idp_listener, &public_url, &secret, &people).await?;
        let config = configuration(&public_url, data_dir, &idp.authority(), &secret, &upstream)?;
        let started = start(&config).await?;
        let expenses = serve_expenses(tools_listener, &public_url, &upstream, data_dir.join("expenses"))?;
        let public = router(&started.auth, &upstream_client()?);
        let mcp_url = format!("{public_url}/mcp");
        Ok(Self { mcp_url, people, config, started, public, listeners, _idp: idp, expenses })
    }

    /// Serves until told to end.
    ///
    /// # Errors
    /// As `serve`.
    pub async fn serve_until(self, told_to_end: impl Future<Output = ()>) -> Result<(), Failure> {
        let served = serve_until(told_to_end, &self.config, self.started, self.public, self.listeners).await;
        self.expenses.abort();
        served
    }
}

/// Listens where `localhost` leads, whichever family of addresses a client tries first.
async fn bind_localhost(port: u16) -> Result<Vec<TcpListener>, Failure> {
    for _ in 0..ATTEMPTS {
        let first =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|e| cannot_listen(port, &e))?;
        let bound = local_port(&first)?;
        match TcpListener::bind((Ipv6Addr::LOCALHOST, bound)).await {
            Ok(second) => return Ok(vec![first, second]),
            Err(error) if error.kind() == ErrorKind::AddrInUse && port != 0 => {
                return Err(cannot_listen(port, &error));
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            // A machine without IPv6.
            Err(_) => return Ok(vec![first]),
        }
    }
    Err(Failure::Running("No port is free on 127.0.0.1 and on [::1]. Name one with --port.".to_owned()))
}

fn cannot_listen(port: u16, error: &io::Error) -> Failure {
    Failure::Running(format!(
        "Cannot listen on localhost:{port}: {error}. Stop what listens there, or choose another port with \
         --port; --port 0 takes any that is free."
    ))
}

async fn bind_loopback() -> Result<TcpListener, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| cannot_listen(0, &error))
}

fn local_port(listener: &TcpListener) -> Result<u16, Failure> {
    let address = listener.local_addr();
    Ok(address.map_err(|error| Failure::Running(format!("A listener has no address: {error}.")))?.port())
}

/// A new one for each start: only the two halves of the demo know it.
fn secret() -> SecretString {
    let entropy: &dyn Entropy = &SystemEntropy::new();
    URL_SAFE_NO_PAD.encode(entropy.bytes::<32>()).into()
}

async fn identity_provider(
    listener: TcpListener,
    public_url: &str,
    secret: &SecretString,
    people: &[Person],
) -> Result<DevIdp, Failure> {
    let clock = SystemClock::new();
    let options = Options {
        tenant: TENANT.to_owned(),
        client_id: APPLICATION.to_owned(),
        client_secret: secret.clone(),
        redirect_uris: vec![format!("{public_url}{}", path::CALLBACK)],
        people: people.to_vec(),
        now: Arc::new(move || clock.now().0),
        script: Arc::new(NoScript),
    };
    let started = DevIdp::start(listener, options).await;
    started.map_err(|error| Failure::Running(format!("The identity provider cannot start: {error}.")))
}

/// The configuration as an operator would give it in the environment, with every default.
fn configuration(
    public_url: &str,
    data_dir: &Path,
    authority: &str,
    secret: &SecretString,
    upstream: &str,
) -> Result<Config, Failure> {
    let resource = format!(
        r#"[{{ path = "/mcp", name = "Expenses", upstream = "{upstream}", scopes = {{
            "mcp.read" = "Read your expenses", "mcp.write" = "Add expenses" }} }}]"#
    );
    let scope = format!("api://{APPLICATION}/mcp.access");
    let variables: [(&str, OsString); 7] = [
        ("PUBLIC_URL", public_url.into()),
        ("DATA_DIR", data_dir.into()),
        ("UPSTREAM__TENANT", TENANT.into()),
        ("UPSTREAM__AUTHORITY", authority.into()),
        ("UPSTREAM__CLIENT_ID", APPLICATION.into()),
        ("UPSTREAM__CLIENT_SECRET", secret.expose_secret().into()),
        ("RESOURCE", resource.replace('\n', " ").into()),
    ];
    let scopes = ("UPSTREAM__SCOPES", format!("[{scope:?}]").into());
    let named =
        variables.into_iter().chain([scopes]).map(|(key, value)| (format!("ENTRADA_{key}").into(), value));
    config::load(None, named).map_err(|problems| Failure::Usage(problems.to_string()))
}

fn serve_expenses(
    listener: TcpListener,
    public_url: &str,
    upstream: &str,
    directory: PathBuf,
) -> Result<JoinHandle<()>, Failure> {
    let ledger = FileLedger::open(&directory)
        .map_err(|e| Failure::Running(format!("{} cannot be used: {e}.", directory.display())))?;
    let settings = expenses::Settings::new(public_url, upstream);
    let router = expenses::router(settings, Arc::new(ledger))
        .map_err(|error| Failure::Running(format!("The MCP server cannot start: {error}.")))?;
    // An error would be one of `accept`, which axum itself waits out.
    Ok(tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() }))
}
