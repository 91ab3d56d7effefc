//! What an attack finds: an Entrada before two MCP servers, two people of one tenant with a client each, and what they
//! hold. Everything live is made through the front door, and only what an entry names.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::demo::idp::Person;
use entrada::domain::client::ConfiguredClient;
use entrada::domain::limits::Limits;
use entrada::domain::limits::Rate;
use entrada::domain::policy::Registration;
use entrada::domain::trust::Trust;
use entrada::flows::block::Target;
use entrada::protocol::redirect_uri::RedirectUri;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use crate::attacks::entry::Block;
use crate::attacks::entry::Setting;
use crate::attacks::entry::Who;
use crate::attacks::forged;
use crate::support::browser::Browser;
use crate::support::browser::hidden;
use crate::support::browser::path_of;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::client::VERIFIER;
use crate::support::client::challenge;
use crate::support::client::code_of;
use crate::support::counted::Operations;
use crate::support::counted::counted;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::TENANT;
use crate::support::entrada::parameter;
use crate::support::entrada::resource;
use crate::support::upstream::Upstream;

/// The secret of the client that the operator wrote down.
pub const AGENT_SECRET: &str = "a-secret-that-is-long-and-random-0123456789";

pub struct Stage {
    pub entrada: Entrada,
    pub replica: Router,
    pub mcp_server: Upstream,
    pub store: Arc<Operations>,
    pub victim: Actor,
    pub attacker: Actor,
    /// By their names in an entry: `victim.code`.
    pub values: BTreeMap<String, String>,
}

/// One of the two people, with the client and the browser.
pub struct Actor {
    who: &'static str,
    person: usize,
    pub client: Client,
    pub browser: Browser,
}

impl Stage {
    pub async fn set(setting: &Setting) -> Self {
        let mcp_server = Upstream::start().await;
        let (store, decorate) = counted();
        let entrada = Entrada::with(Setup { decorate, ..setup(setting, &mcp_server) }).await;
        let replica = entrada.replica().await;
        let nobody = Client { id: String::new(), secret: None, redirect_uri: String::new() };
        let actor = |who, person| Actor { who, person, client: nobody.clone(), browser: Browser::default() };
        let (victim, attacker) = (actor("victim", 0), actor("attacker", 1));
        let values = [
            ("verifier", VERIFIER.to_owned()),
            ("challenge", challenge(VERIFIER)),
            ("upstream.client_id", "99999999-8888-4777-8666-555555555555".to_owned()),
            ("agent.secret", AGENT_SECRET.to_owned()),
            ("agent.secret_sha256", hex(&Sha256::digest(AGENT_SECRET))),
        ];
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { entrada, replica, mcp_server, store, victim, attacker, values }
    }

    /// Makes what is named, and forgets how.
    pub async fn prepare(&mut self, wanted: &BTreeSet<String>) {
        let Self { entrada, mcp_server, victim, attacker, values, .. } = self;
        for actor in [victim, attacker] {
            let own = format!("{}.", actor.who);
            let wanted = wanted.iter().filter_map(|name| name.strip_prefix(&own)).collect::<BTreeSet<_>>();
            if !wanted.is_empty() {
                let made = actor.make(entrada, mcp_server, &wanted).await;
                values.extend(made.into_iter().map(|(name, value)| (format!("{own}{name}"), value)));
            }
        }
        self.forget();
    }

    /// Keeps the attacker's client out, or the host that its codes go to.
    pub async fn block(&mut self, what: Block) {
        let target = match what {
            Block::Client => Target::Client(self.attacker.client.id.clone()),
            Block::Host => Target::RedirectHost("127.0.0.1".to_owned()),
        };
        self.entrada.auth.block(target).await.unwrap();
        self.forget();
    }

    /// The same of a deployment with the same issuer and other keys: `elsewhere.code` is the victim's there.
    pub async fn prepare_elsewhere(&mut self, elsewhere: &mut Self, wanted: &BTreeSet<String>) {
        let there = wanted.iter().filter_map(|name| name.strip_prefix("elsewhere."));
        let there: BTreeSet<String> = there.map(|name| format!("victim.{name}")).collect();
        elsewhere.prepare(&there).await;
        let made =
            there.iter().map(|name| (name.replace("victim.", "elsewhere."), elsewhere.values[name].clone()));
        self.values.extend(made);
    }

    /// From here on it counts.
    fn forget(&self) {
        self.store.take();
        self.mcp_server.arrived();
    }

    pub fn actor(&mut self, who: Who) -> &mut Actor {
        match who {
            Who::Victim => &mut self.victim,
            Who::Attacker => &mut self.attacker,
        }
    }

    pub fn value(&self, name: &str) -> String {
        self.values.get(name).cloned().unwrap_or_else(|| panic!("{{{name}}}: there is no such value"))
    }
}

fn setup(setting: &Setting, mcp_server: &Upstream) -> Setup {
    let mut mail = resource(ISSUER, "/mail", Some(mcp_server.url.join("/mail-server").unwrap()));
    mail.scopes = vec![("mail.read".to_owned(), "Read your mail".to_owned())];
    mail.default_scopes = ["mail.read"].into_iter().collect();
    let agent = ConfiguredClient {
        id: "agent".to_owned(),
        name: "Travel agent".to_owned(),
        redirect_uris: vec![RedirectUri::parse("https://agent.example.com/callback").unwrap()],
        scopes: std::iter::empty::<&str>().collect(),
        secret_sha256: Some(Sha256::digest(AGENT_SECRET).into()),
        jwks: None,
    };
    let rate = |count| Rate { count: NonZeroU32::new(count).unwrap(), period: Duration::from_mins(1) };
    let mut setup = Setup {
        resources: vec![resource(ISSUER, "/mcp", Some(mcp_server.url.clone())), mail],
        default_resource: Some(0),
        trust: Trust { open: setting.open_trust, hosts: setting.trusted_hosts.clone(), ..Trust::default() },
        registration: Registration { enabled: !setting.registration_off, ..Registration::default() },
        clients: setting.configured_client.then_some(agent).into_iter().collect(),
        limits: Limits {
            per_address: setting.per_address.map(rate),
            proxies: setting.proxies,
            ..Limits::default()
        },
        ..Setup::default()
    };
    setup.lifetimes.grace = setting.grace().unwrap_or(setup.lifetimes.grace);
    setup
}

impl Actor {
    pub fn name(&self) -> &'static str {
        self.who
    }

    /// The values of these names. Each credential is of a sign-in of its own, but for those that belong together:
    /// the tokens with `spent_code`, what was approved with its cookie.
    async fn make(
        &mut self,
        entrada: &Entrada,
        mcp_server: &Upstream,
        wanted: &BTreeSet<&str>,
    ) -> Vec<(&'static str, String)> {
        let any = |names: &[&str]| names.iter().any(|name| wanted.contains(name));
        entrada.script.person(self.person);
        let more = match self.who {
            "victim" => json!({}),
            _ => {
                json!({ "client_name": "Another Client", "redirect_uris": ["http://127.0.0.1:40123/callback"] })
            }
        };
        self.client = Client::register_with(entrada, more).await;
        let (id, redirect_uri) = (self.client.id.clone(), self.client.redirect_uri.clone());
        let mut made = vec![
            ("client_id", id),
            ("redirect_uri", redirect_uri),
            ("authorize", self.client.authorize(&[])),
            ("changed_client_id", changed(&self.client.id)),
            ("oid", Person::three(TENANT)[self.person].oid.clone()),
        ];
        if any(&["confidential_id", "confidential_secret", "confidential_basic", "confidential_code"]) {
            let method =
                json!({ "client_name": self.who, "token_endpoint_auth_method": "client_secret_basic" });
            let client = Client::register_with(entrada, method).await;
            let secret = client.secret.clone().unwrap();
            made.push(("confidential_basic", STANDARD.encode(format!("{}:{secret}", client.id))));
            made.extend([("confidential_id", client.id.clone()), ("confidential_secret", secret)]);
            let code = client.code(entrada).await;
            made.push(("confidential_code", code));
        }
        if any(&["mail_token"]) {
            let mail = format!("{ISSUER}/mail");
            let authorize = self.client.authorize(&[("resource", &mail), ("scope", "")]);
            let code = code_of(&self.browser.sign_in(entrada, &authorize).await);
            made.push(("mail_token", Tokens::of(&self.client.redeem(entrada, &code).await).access));
        }
        let names =
            ["access_token", "refresh_token", "old_refresh_token", "spent_code", "sid", "downstream_token"];
        if any(&names) || wanted.iter().any(|name| name.starts_with("forged_")) {
            made.extend(self.tokens(entrada, mcp_server, any(&["old_refresh_token"])).await);
        }
        if any(&["code"]) {
            let back = self.browser.sign_in(entrada, &self.client.authorize(&[])).await;
            made.push(("code", code_of(&back)));
        }
        if any(&["callback", "state", "provider_code", "approved_login", "approved_cookie", "approved_value"])
        {
            made.extend(self.approved(entrada).await);
        }
        if any(&["login", "browser_cookie", "browser_value"]) {
            let page = self.browser.open(entrada, &self.client.authorize(&[])).await;
            made.push(("login", hidden(&page.body, "login").unwrap()));
            let (name, value) =
                self.browser.cookies.iter().find(|(name, _)| name == "__Host-entrada").unwrap();
            made.extend([("browser_cookie", format!("{name}={value}")), ("browser_value", value.clone())]);
        }
        made
    }

    async fn tokens(
        &mut self,
        entrada: &Entrada,
        mcp_server: &Upstream,
        refreshed: bool,
    ) -> Vec<(&'static str, String)> {
        let back = self.browser.sign_in(entrada, &self.client.authorize(&[])).await;
        let code = code_of(&back);
        let mut tokens = Tokens::of(&self.client.redeem(entrada, &code).await);
        let mut made = vec![("spent_code", code)];
        if refreshed {
            let old = std::mem::take(&mut tokens.refresh);
            tokens = Tokens::of(&self.client.refresh(entrada, &old).await);
            made.push(("old_refresh_token", old));
        }
        let request = Request::post("/mcp").header("authorization", format!("Bearer {}", tokens.access));
        assert_eq!(entrada.send(request.body(Body::from("{}")).unwrap()).await.status, 200);
        let arrived = mcp_server.arrived().pop().expect("a call reaches the MCP server");
        let bearer = arrived.headers["authorization"].to_str().unwrap();
        made.push(("downstream_token", bearer.strip_prefix("Bearer ").unwrap().to_owned()));
        made.push(("sid", tokens.claims()["sid"].as_str().unwrap().to_owned()));
        let keys = entrada.get("/.well-known/jwks.json").await;
        made.extend(forged::of(&tokens, &keys.json(), &Person::three(TENANT)[0].oid));
        made.extend([("access_token", tokens.access), ("refresh_token", tokens.refresh)]);
        made
    }

    /// A login that waits for its callback.
    async fn approved(&mut self, entrada: &Entrada) -> Vec<(&'static str, String)> {
        let page = self.browser.open(entrada, &self.client.authorize(&[])).await;
        let approved = self.browser.decide(entrada, &page, "approve").await;
        let callback = self.browser.at_idp(entrada, &approved.location()).await;
        let held = self.browser.cookies.iter().find(|(name, _)| name.contains("-login-"));
        let (name, value) = held.expect("an approved login has a cookie");
        vec![
            ("callback", path_of(callback.as_str())),
            ("state", parameter(&callback, "state").unwrap()),
            ("provider_code", parameter(&callback, "code").unwrap()),
            ("approved_login", hidden(&page.body, "login").unwrap()),
            ("approved_cookie", format!("{name}={value}")),
            ("approved_value", value.clone()),
        ]
    }
}

/// The id of the same client with its codes at another host, and the MAC that it had.
fn changed(client_id: &str) -> String {
    let (prefix, text) = client_id.split_at("edc_".len());
    let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
    let (here, there) = (b"127.0.0.1", b"localhost");
    let at =
        bytes.windows(here.len()).position(|window| window == here).expect("the id holds its redirect URI");
    bytes[at..at + there.len()].copy_from_slice(there);
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
