//! The program with its root key in Key Vault.

use std::sync::Arc;
use std::sync::Mutex;

use axum::http::Method;
use entrada::adapters::system::SystemClock;

use crate::support::cosmos::HostedCosmos;
use crate::support::cosmos::KEY;
use crate::support::load::Answered;
use crate::support::load::Load;
use crate::support::mcp;
use crate::support::program::Ended;
use crate::support::program::Program;
use crate::support::program::Site;
use crate::support::vault::HostedVault;
use crate::support::vault::Instead;
use crate::support::vault::TOKEN;
use crate::support::vault::identity_endpoint;

const IDENTITY: &str = "12345678-1234-4234-8234-123456789012";

/// A site whose programs have a vault, and an identity that the vault knows.
struct Stand {
    site: Site,
    vault: HostedVault,
    settings: String,
    endpoint: String,
    /// What the identity endpoint was asked.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stand {
    async fn new() -> Self {
        let site = Site::new().await;
        site.vigil.never(TOKEN);
        let vault = HostedVault::start().await;
        let asked = Arc::default();
        let endpoint = identity_endpoint(Arc::clone(&asked)).await;
        let settings = site.settings() + &vault.section() + &format!("managed_identity = \"{IDENTITY}\"\n");
        Self { site, vault, settings, endpoint, asked }
    }

    /// Several programs may share this store.
    async fn shared() -> (Self, HostedCosmos) {
        let stand = Self::new().await;
        stand.site.vigil.never(KEY);
        let cosmos = HostedCosmos::ready(Arc::new(SystemClock::new())).await;
        let section = cosmos.section(&format!("credential = \"key\"\nkey = \"{KEY}\""));
        (Self { settings: stand.settings.clone() + &section, ..stand }, cosmos)
    }

    fn environment(&self) -> [(&str, &str); 4] {
        [
            ("IDENTITY_ENDPOINT", self.endpoint.as_str()),
            ("IDENTITY_HEADER", "header-0012345"),
            // The vault and the endpoint are asked directly.
            ("HTTP_PROXY", "http://127.0.0.1:9"),
            ("ALL_PROXY", "http://127.0.0.1:9"),
        ]
    }

    async fn start(&self) -> Program {
        self.site.start_in(&self.environment()[..2], &self.settings).await
    }

    /// Runs a command to its end, with the configuration of a replica.
    async fn run(&self, arguments: &[&str]) -> Ended {
        let file = self.site.write(&self.settings);
        let arguments = [arguments, &["--config", file.to_str().unwrap()]].concat();
        self.site.run_with(&arguments, &self.environment()).await
    }

    /// What a command prints that ends well.
    async fn says(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    }

    /// No key may be printed, or stored.
    fn watch(&self) {
        for version in self.vault.versions() {
            self.site.vigil.never(version.value.split_once(' ').unwrap().1);
        }
    }
}

#[tokio::test]
async fn a_server_alone_makes_its_key_in_the_vault_and_finds_it_after_a_restart() {
    let stand = Stand::new().await;
    let program = stand.start().await;
    stand.watch();
    assert_eq!(stand.vault.generations(), [(1, true)]);
    assert!(!stand.site.root_key().exists());
    let client = mcp::sign_in(&stand.site, 0).await;
    client.connect().await.call("whoami").await.unwrap();
    let asked = stand.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("resource=https%3A%2F%2Fvault.azure.net&"), "{asked:?}");
    assert!(asked[0].contains(&format!("client_id={IDENTITY}")) && asked[0].ends_with(" header-0012345"));

    program.stop().await;
    stand.site.settled().await;
    let _program = stand.start().await;
    client.refresh().await.unwrap();
    let listed = stand.says(&["keys", "list"]).await;
    assert!(
        listed.contains(&format!(
            "(the secret entrada-root in {})",
            stand.vault.url.origin().ascii_serialization()
        )),
        "{listed}"
    );
    let rotated = stand.says(&["keys", "rotate", "--root"]).await;
    assert!(rotated.ends_with(", and is used from now on.\n"), "{rotated}");
    client.refresh().await.unwrap();
    let ended = stand.says(&["keys", "rotate", "--root", "--compromised"]).await;
    assert!(ended.contains("1 grants ended") && ended.contains("Every replica finds it there"), "{ended}");
    stand.watch();
    assert_eq!(stand.vault.generations(), [(1, false), (2, false), (3, true)]);
    assert!(client.refresh().await.is_err());
    mcp::sign_in(&stand.site, 0).await.refresh().await.unwrap();
}

#[tokio::test]
async fn programs_that_start_together_on_an_empty_store_serve_with_one_key() {
    let (stand, _cosmos) = Stand::shared().await;
    stand.vault.gather_sets(2);
    let file = stand.site.write(&stand.settings);
    let start =
        || stand.site.spawn(&["serve", "--config", file.to_str().unwrap()], &stand.environment()[..2]);
    let mut both = [start(), start()];
    for program in &mut both {
        let listening = program.logged("message", "listening").await;
        program.address = listening["address"].as_str().unwrap().parse().unwrap();
        program.logged("message", "starting").await;
    }
    stand.watch();
    let generations = stand.vault.generations();
    assert!(matches!(generations[..], [(1, true), (1, false)] | [(1, false), (1, true)]), "{generations:?}");
    stand.site.leads_to(&[&both[0], &both[1]]);
    let load = Load::new(&stand.site).await;
    let code = load.sign_in().await.unwrap();
    load.goes_on(Answered::Code(code)).await;

    let third = stand.start().await;
    stand.site.leads_to(&[&both[0], &third, &both[1]]);
    let code = load.sign_in().await.unwrap();
    load.goes_on(Answered::Code(code)).await;
}

#[tokio::test]
async fn commands_say_what_becomes_of_the_versions() {
    let (stand, _cosmos) = Stand::shared().await;
    let bound = stand.says(&["keys", "init"]).await;
    let place = format!("the secret entrada-root in {}", stand.vault.url.origin().ascii_serialization());
    assert_eq!(
        bound,
        format!("The store is bound to the root key in {place}. Every replica finds it there.\n")
    );
    assert_eq!(stand.says(&["keys", "init"]).await, bound, "it is bound already");
    assert_eq!(stand.vault.generations(), [(1, true)]);
    let _program = stand.start().await;
    let rotated = stand.says(&["keys", "rotate", "--root"]).await;
    assert!(rotated.starts_with(&format!("Generation 2 of the root key is in {place}, and is used from 20")));
    assert!(rotated.ends_with(" Every replica finds it there by itself.\n"), "{rotated}");
    let again = stand.run(&["keys", "rotate", "--root"]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("is announced already") && again.stderr.contains("finds it by itself"));
    stand.watch();

    stand.vault.enable(1, false);
    let missing = stand.run(&["keys", "rotate", "--root"]).await;
    assert_eq!(missing.code, Some(4), "{missing:?}");
    assert!(missing.stderr.contains(&format!("is not in {place}. Enable its version")), "{missing:?}");
    stand.vault.reachable(false);
    let away = stand.run(&["keys", "list"]).await;
    assert_eq!(away.code, Some(3), "{away:?}");
    assert!(away.stderr.contains("The keys cannot be read: the key vault is away: "), "{away:?}");
}

/// It waits for a vault as it waits for a store: liveness and metadata need neither.
#[tokio::test]
async fn it_starts_without_its_vault_and_is_ready_when_that_answers() {
    for shared in [false, true] {
        let (stand, _cosmos) = match shared {
            true => {
                let (stand, cosmos) = Stand::shared().await;
                (stand, Some(cosmos))
            }
            false => (Stand::new().await, None),
        };
        stand.vault.reachable(false);
        let program = stand.start().await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let status = async |path: &str| {
            let answer = http.get(format!("http://{}{path}", program.address)).send().await.unwrap();
            answer.status().as_u16()
        };
        assert_eq!(status("/healthz/live").await, 200);
        assert_eq!(status("/.well-known/oauth-authorization-server").await, 200);
        assert_eq!(status("/healthz/ready").await, 503);
        program.logged_text("the key vault is away: ").await;
        stand.vault.reachable(true);
        program.logged("message", "the store answers and its keys are known: everything is served").await;
        stand.watch();
        assert_eq!(status("/healthz/ready").await, 200);
        mcp::sign_in(&stand.site, 0).await.refresh().await.unwrap();
    }
}

#[tokio::test]
async fn a_vault_that_refuses_it_ends_it_with_4_and_says_which_role_is_missing() {
    let stand = Stand::new().await;
    stand.vault.answers(Method::GET, Instead::new(403, "Forbidden", Some("ForbiddenByRbac")));
    let ended = stand.run(&["serve"]).await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("\"Key Vault Secrets Officer\" on this vault"), "{ended:?}");
    assert!(stand.vault.versions().is_empty());
}
