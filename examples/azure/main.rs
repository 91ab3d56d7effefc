//! What Azure is to Entrada, on this machine: Entra ID with Microsoft Graph, the endpoint that gives managed identities
//! their tokens, Key Vault and Cosmos DB.
//!
//! ```sh
//! cargo run --example azure -- '{"redirect_uri": …}'
//! ```
//!
//! prints where each of them is, as a line of JSON, and serves until its input ends. A line of input changes what is
//! answered; each has a line for an answer. `tests/e2e/test_deployed.py` starts it. It is not Azure, believes more than
//! Azure does, and listens on loopback alone.

mod identity;
mod trouble;

#[path = "../../tests/it/support/cosmos.rs"]
#[expect(dead_code, clippy::panic, clippy::unwrap_used, reason = "of the tests, which need more of it")]
mod cosmos;
#[path = "../../tests/it/support/vault.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "of the tests, which need more of it")]
mod vault;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::adapters::system::SystemClock;
use entrada::adapters::system::SystemEntropy;
use entrada::demo::idp::DevIdp;
use entrada::demo::idp::FederatedCredential;
use entrada::demo::idp::Options;
use entrada::demo::idp::Person;
use entrada::ports::clock::Clock;
use entrada::ports::clock::Entropy;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::io::stdin;
use tokio::net::TcpListener;

use cosmos::HostedCosmos;
use identity::IdentityEndpoint;
use trouble::Trouble;
use vault::HostedVault;
use vault::Instead;

/// What was deployed, in the words of `infra/main.bicep`.
#[derive(Deserialize)]
struct Deployment {
    redirect_uri: String,
    tenant: String,
    client_id: String,
    /// The federated credential of the registration.
    issuer: String,
    subject: String,
    /// The client ids of the managed identities.
    program: String,
    sample: String,
    /// The database and the container of the sample.
    expenses: [String; 2],
}

struct Azure {
    idp: DevIdp,
    trouble: Arc<Trouble>,
    vault: HostedVault,
    cosmos: HostedCosmos,
    expenses: [String; 2],
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "whoever started it reads that")]
async fn main() -> io::Result<()> {
    let text = std::env::args().nth(1).ok_or_else(|| io::Error::other("What was deployed?"))?;
    let deployment: Deployment = serde_json::from_str(&text)?;
    let (azure, endpoint) = start(&deployment).await?;
    let places = json!({
        "authority": azure.idp.authority(),
        "identity_endpoint": endpoint.url,
        "identity_header": endpoint.header,
        "vault": azure.vault.url,
        "cosmos": azure.cosmos.endpoint().as_str(),
    });
    println!("{places}");
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        println!("{}", azure.told(&line.split(' ').collect::<Vec<_>>()).await);
    }
    Ok(())
}

async fn start(deployment: &Deployment) -> io::Result<(Azure, IdentityEndpoint)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let trouble = Arc::new(Trouble::default());
    let now = Arc::clone(&clock);
    let mut people = Person::three(&deployment.tenant);
    // More than an ID token lists.
    people[1].groups = (0..300).map(|n| format!("0e0a9b1c-0000-4000-8000-{n:012x}")).collect();
    people[2].guest = true;
    let options = Options {
        tenant: deployment.tenant.clone(),
        client_id: deployment.client_id.clone(),
        // The registration has none, and this one nobody knows.
        client_secret: random().into(),
        redirect_uris: vec![deployment.redirect_uri.clone()],
        people,
        now: Arc::new(move || now.now().0),
        script: trouble.clone(),
    };
    let idp = DevIdp::start(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, options).await?;
    let credential = FederatedCredential {
        issuer: deployment.issuer.clone(),
        subject: deployment.subject.clone(),
        audience: "api://AzureADTokenExchange".to_owned(),
    };
    idp.add_federated_credential(credential.clone());
    let token = idp.token_of(&credential);
    let endpoint = IdentityEndpoint::start(token, &deployment.program, &deployment.sample).await?;
    let vault = HostedVault::start().await;
    let cosmos = HostedCosmos::ready(clock).await;
    let [database, container] = &deployment.expenses;
    let partition_key = json!({ "kind": "Hash", "paths": ["/sub"], "version": 2 });
    cosmos.make_in(database, &json!({ "id": container, "partitionKey": partition_key })).await;
    for (database, client_id) in [("entrada", &deployment.program), ("expenses", &deployment.sample)] {
        cosmos.is_for(database, &identity::for_cosmos(client_id));
    }
    let expenses = deployment.expenses.clone();
    Ok((Azure { idp, trouble, vault, cosmos, expenses }, endpoint))
}

/// What nobody guesses.
fn random() -> String {
    let entropy: &dyn Entropy = &SystemEntropy::new();
    URL_SAFE_NO_PAD.encode(entropy.bytes::<32>())
}

impl Azure {
    async fn told(&self, words: &[&str]) -> Value {
        match words {
            // At its sign-in page, from now on, or at the token endpoint, so many times.
            ["entra", "sign-in", number] => self.trouble.at_sign_in(number.parse().unwrap_or_default()),
            ["entra", "token", number, times] => {
                self.trouble.at_token(number.parse().unwrap_or_default(), times.parse().unwrap_or_default());
            }
            ["entra", "honest"] => self.trouble.over(),
            ["entra", "left"] => return json!(self.trouble.left()),
            ["entra", "consent"] => self.idp.consent_to_graph(),
            // The next request for the list of versions.
            ["vault", "forbidden"] => {
                self.vault.answers(Method::GET, Instead::new(403, "Forbidden", Some("ForbiddenByRbac")));
            }
            ["vault", "versions"] => return json!(self.vault.generations()),
            ["cosmos", "grants"] => return json!(self.cosmos.documents().await.len()),
            ["cosmos", "expenses"] => {
                let [database, container] = &self.expenses;
                return json!(self.cosmos.documents_in(database, container).await);
            }
            _ => return json!("not understood"),
        }
        json!("done")
    }
}
