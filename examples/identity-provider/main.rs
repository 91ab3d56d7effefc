//! The demo's identity provider alone, for an `entrada serve` on this machine:
//!
//! ```sh
//! cargo run --example identity-provider -- http://localhost:8000
//! ```
//!
//! prints the `[upstream]` of a configuration with this `public_url`, and serves until it is ended. It behaves as
//! Entra ID does, is not Microsoft, asks for no password, and listens on loopback alone.

use std::io;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::adapters::system::SystemClock;
use entrada::adapters::system::SystemEntropy;
use entrada::demo::idp::DevIdp;
use entrada::demo::idp::NoScript;
use entrada::demo::idp::Options;
use entrada::demo::idp::Person;
use entrada::ports::clock::Clock;
use entrada::ports::clock::Entropy;
use tokio::net::TcpListener;

/// A tenant that does not exist.
const TENANT: &str = "0a1c0de0-0000-4000-8000-000000000000";
/// Entrada's own registration there.
const CLIENT: &str = "0a1c0de0-0000-4000-8000-0000000000ff";

#[tokio::main]
async fn main() -> io::Result<()> {
    let public_url = std::env::args().nth(1).ok_or_else(|| io::Error::other("Which public_url?"))?;
    let entropy: &dyn Entropy = &SystemEntropy::new();
    let secret = URL_SAFE_NO_PAD.encode(entropy.bytes::<32>());
    let clock = SystemClock::new();
    let options = Options {
        tenant: TENANT.to_owned(),
        client_id: CLIENT.to_owned(),
        client_secret: secret.clone().into(),
        redirect_uris: vec![format!("{public_url}/auth/callback")],
        people: Person::three(TENANT),
        now: Arc::new(move || clock.now().0),
        script: Arc::new(NoScript),
    };
    let idp = DevIdp::start(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, options).await?;
    write!(
        io::stdout(),
        r#"[upstream]
tenant = "{TENANT}"
authority = "{0}"
graph = "{0}"
client_id = "{CLIENT}"
client_secret = "{secret}"
scopes = ["api://{CLIENT}/mcp.access"]
"#,
        idp.authority()
    )?;
    tokio::signal::ctrl_c().await
}
