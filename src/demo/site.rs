//! Everything on one machine: Entrada as `serve` runs it, an identity provider, an MCP server, a client.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use expenses::FileLedger;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::adapters::system::SystemClock;
use crate::adapters::system::SystemEntropy;
use crate::app::exit::Failure;
use crate::app::router;
use crate::app::serve::serve_until;
use crate::app::start::Started;
use crate::app::start::start;
use crate::app::upstreams::upstreams;
use crate::config;
use crate::config::Config;
use crate::demo::idp::DevIdp;
use crate::demo::idp::NoScript;
use crate::demo::idp::Options;
use crate::demo::idp::Person;
use crate::demo::web_client;
use crate::ports::clock::Clock;
use crate::ports::clock::Entropy;
use crate::protocol::metadata::path;

/// A tenant that does not exist.
const TENANT: &str = "0a1c0de0-0000-4000-8000-000000000000";
/// Entrada's own registration there.
const APPLICATION: &str = "0a1c0de0-0000-4000-8000-0000000000ff";
const MCP_PATH: &str = "/mcp";
/// How often a free port is looked for that is free for both families of addresses.
const ATTEMPTS: usize = 16;

/// Everything that is ready to run. All but Entrada runs already.
pub struct Site {
    pub mcp_url: String,
    /// Where the client has its pages.
    pub client_url: String,
    pub people: Vec<Person>,
    config: Config,
    started: Started,
    public: Router,
    listeners: Vec<TcpListener>,
    _idp: DevIdp,
    beside: [JoinHandle<()>; 2],
    /// A directory that is removed at the end.
    _passing: Option<TempDir>,
}

impl Site {
    /// Makes everything that is served, on loopback only.
    ///
    /// # Errors
    /// When the port is taken or the directory cannot be used, in words.
    pub async fn new(asked: u16, data_dir: Option<&Path>) -> Result<Self, Failure> {
        let listeners = bind_localhost(asked).await?;
        let port = local_port(&listeners[0])?;
        let (data_dir, passing) = directory(asked, data_dir)?;
        let public_url = origin(port);
        let mcp_url = format!("{public_url}{MCP_PATH}");
        let (idp_listener, _) = bind_loopback().await?;
        let (tools_listener, tools_url) = bind_loopback().await?;
        let (client_listener, client_url) = bind_loopback().await?;
        let upstream = format!("{tools_url}{}", expenses::PATH);

        let secret = secret();
        let people = Person::three(TENANT);
        let idp = identity_provider(idp_listener, &public_url, &secret, &people).await?;
        let config = configuration(&public_url, &data_dir, &idp.authority(), &secret, &upstream)?;
        let started = start(&config).await?;
        let tools = expenses_server(&public_url, &upstream, data_dir.join("expenses"))?;
        let client = web_client::router(&mcp_url, &client_url);
        let beside = [serve(tools_listener, tools), serve(client_listener, client)];
        let away = [(header::LOCATION, format!("{client_url}/"))];
        let public = router(&started.auth, &upstreams(&started.auth.policy().resources)?)
            // Whoever opens the address in a browser finds the client. `serve` has nothing there.
            .route("/", get(|| async { (StatusCode::FOUND, away) }));
        Ok(Self {
            mcp_url,
            client_url,
            people,
            config,
            started,
            public,
            listeners,
            _idp: idp,
            beside,
            _passing: passing,
        })
    }

    /// Serves until told to end.
    ///
    /// # Errors
    /// As `serve`.
    pub async fn serve_until(self, told_to_end: impl Future<Output = ()>) -> Result<(), Failure> {
        let served = serve_until(told_to_end, &self.config, self.started, self.public, self.listeners).await;
        self.beside.iter().for_each(JoinHandle::abort);
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
            Err(error) if error.kind() == ErrorKind::AddrInUse && port == 0 => {}
            // Somebody else would be reached there.
            Err(error) if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {
                return Err(cannot_listen(port, &error));
            }
            // A machine without IPv6 says so in many ways.
            Err(_) => return Ok(vec![first]),
        }
    }
    Err(Failure::Running("No port is free on 127.0.0.1 and on [::1]. Name one with --port.".to_owned()))
}

fn cannot_listen(port: u16, error: &io::Error) -> Failure {
    let remedy = match error.kind() {
        ErrorKind::AddrInUse => "Stop what listens there, or choose",
        _ => "Choose",
    };
    Failure::Running(format!(
        "Cannot listen on localhost:{port}: {error}. {remedy} another port with --port; --port 0 takes any \
         that is free."
    ))
}

/// Any free port, and the origin that it is.
async fn bind_loopback() -> Result<(TcpListener, String), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|e| cannot_listen(0, &e))?;
    let port = local_port(&listener)?;
    Ok((listener, format!("http://127.0.0.1:{port}")))
}

fn local_port(listener: &TcpListener) -> Result<u16, Failure> {
    let address = listener.local_addr();
    Ok(address.map_err(|error| Failure::Running(format!("A listener has no address: {error}.")))?.port())
}

/// As browsers write it, and so the issuer has to.
fn origin(port: u16) -> String {
    if port == 80 { "http://localhost".to_owned() } else { format!("http://localhost:{port}") }
}

/// Where things are kept: each port has its own directory, since a store belongs to one issuer. A port that
/// is left to the system comes once, and so does its directory, which is closed to others as all are.
fn directory(port: u16, named: Option<&Path>) -> Result<(PathBuf, Option<TempDir>), Failure> {
    if let Some(named) = named {
        return Ok((named.to_owned(), None));
    }
    if port != 0 {
        return Ok((PathBuf::from(format!("data/demo/{port}")), None));
    }
    let made = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir();
    let passing = made.map_err(|error| {
        Failure::Running(format!("No temporary directory can be made: {error}. Name one with --data-dir."))
    })?;
    Ok((passing.path().to_owned(), Some(passing)))
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
        r#"[{{ path = "{MCP_PATH}", name = "Expenses", upstream = "{upstream}", scopes = {{
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

fn expenses_server(public_url: &str, upstream: &str, directory: PathBuf) -> Result<Router, Failure> {
    let ledger = FileLedger::open(&directory)
        .map_err(|e| Failure::Running(format!("{} cannot be used: {e}.", directory.display())))?;
    let settings = expenses::Settings::new(public_url, upstream);
    expenses::router(settings, Arc::new(ledger))
        .map_err(|error| Failure::Running(format!("The MCP server cannot start: {error}.")))
}

fn serve(listener: TcpListener, router: Router) -> JoinHandle<()> {
    // An error would be one of `accept`, which axum itself waits out.
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() })
}
