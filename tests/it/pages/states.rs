//! Every state of every page, with what is hardest to show.

use entrada::demo::idp::Endpoint;

use std::num::NonZeroU32;
use std::time::Duration;

use entrada::demo::idp::Reply;
use entrada::domain::brand::Brand;
use entrada::domain::brand::Logo;
use entrada::domain::client::ConfiguredClient;
use entrada::domain::colour::Colour;
use entrada::domain::limits::Limits;
use entrada::domain::limits::Rate;
use entrada::domain::trust::Trust;
use entrada::protocol::redirect_uri::RedirectUri;
use serde_json::Value;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::TENANT;
use crate::support::entrada::resource;
use crate::support::page as web;
use crate::support::published;
use crate::support::web::Web;

/// A page and what it shows, as a file name.
pub struct Page {
    pub name: String,
    pub html: String,
    /// Its Content-Security-Policy.
    pub policy: String,
}

/// Where a document lies that is another client's, and where none can be had.
const BROKEN: &str = "https://vscode.dev/oauth/another.json";
const AWAY: &str = "https://claude.ai/oauth/mcp-oauth-client-metadata";

/// A mark in the colours of nobody.
pub const LOGO: &[u8] = br##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#0f6e56" d="M16 2 30 16 16 30 2 16z"/><path fill="#9fe1cb" d="M16 9 23 16 16 23 9 16z"/></svg>"##;

/// A brand that sets everything.
pub fn contoso() -> Brand {
    Brand {
        name: Some("Contoso Tools".to_owned()),
        logo: Some(Logo { media_type: "image/svg+xml", bytes: LOGO.to_vec() }),
        accent: Colour::of(0x0f_6e56),
        support_url: Some("https://help.contoso.example/mcp?from=a&to=b".to_owned()),
    }
}

/// An Entrada with a page for each state.
struct Gallery {
    entrada: Entrada,
    web: Web,
    /// What the names of its pages begin with.
    name: &'static str,
    pages: Vec<Page>,
}

impl Gallery {
    async fn open(name: &'static str, setup: Setup) -> Self {
        let (entrada, web) = published::start_with(setup).await;
        web.serve(BROKEN, published::document(published::ID, &json!({})));
        Self { entrada, web, name, pages: Vec::new() }
    }

    fn keep(&mut self, state: &str, answer: &Answer) {
        let policy = answer.header("content-security-policy").to_owned();
        self.pages.push(Page { name: format!("{}{state}", self.name), html: answer.body.clone(), policy });
    }

    /// The consent page, or why there is none.
    async fn authorize(&mut self, state: &str, client: Value, changes: &[(&str, &str)]) {
        let client = Client::register_with(&self.entrada, client).await;
        let answer = Browser::default().open(&self.entrada, &client.authorize(changes)).await;
        self.keep(state, &answer);
    }

    /// What the callback says when the identity provider answers so.
    async fn callback(&mut self, state: &str, reply: Reply) {
        let client = Client::register(&self.entrada).await;
        let mut browser = Browser::default();
        let callback = browser.to_callback(&self.entrada, &client.authorize(&[])).await;
        self.entrada.script.token_endpoint_says(reply);
        let answer = browser.open(&self.entrada, callback.as_str()).await;
        self.entrada.script.honest();
        self.keep(state, &answer);
    }

    /// What is shown when an application has to be opened.
    async fn handover(&mut self, client: Value) {
        let client = Client::register_with(&self.entrada, client).await;
        let mut browser = Browser::default();
        let callback = browser.to_callback(&self.entrada, &client.authorize(&[])).await;
        let answer = browser.open(&self.entrada, callback.as_str()).await;
        self.keep("handover", &answer);
    }

    /// What the callback says when the identity provider sends the browser back so.
    async fn sent_back(&mut self, state: &str, reply: Reply) {
        let at_sign_in = move |at, _: &[_]| (at == Endpoint::Authorize).then(|| reply.clone());
        self.entrada.script.answer_with(at_sign_in);
        let client = Client::register(&self.entrada).await;
        let mut browser = Browser::default();
        let callback = browser.to_callback(&self.entrada, &client.authorize(&[])).await;
        self.entrada.script.honest();
        let answer = browser.open(&self.entrada, callback.as_str()).await;
        self.keep(state, &answer);
    }

    async fn everything(&mut self) {
        let vendor =
            json!({ "client_name": "Claude", "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"] });
        self.authorize("consent-vendor", vendor, &[("scope", "mcp.read")]).await;
        self.authorize("consent-loopback", json!({ "client_name": "Claude Code" }), &[]).await;
        let cursor = json!({ "client_name": "Cursor", "redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback"] });
        self.authorize("consent-application", cursor.clone(), &[]).await;
        self.handover(cursor).await;
        let configured = configured();
        let agent =
            Client { id: configured.id, secret: None, redirect_uri: configured.redirect_uris[0].to_string() };
        let answer = Browser::default().open(&self.entrada, &agent.authorize(&[])).await;
        self.keep("consent-configured", &answer);
        let published = published::client(published::ID);
        let shown = Browser::default().open(&self.entrada, &published.authorize(&[])).await;
        self.keep("consent-document", &shown);
        self.keep("error-document", &published::asked(&self.entrada, BROKEN).await);
        self.web.serve(AWAY, web::Page::status(503));
        self.keep("error-document-away", &published::asked(&self.entrada, AWAY).await);
        let answer = Browser::default().decide(&self.entrada, &answer, "approve").await;
        self.keep("consent-again", &answer);
        let stranger = json!({ "client_name": "Notes", "redirect_uris": ["https://notes.example.net/cb"] });
        self.authorize("error-untrusted", stranger, &[]).await;
        self.authorize("error-request", json!({}), &[("client_id", "edc_unknown")]).await;
        self.callback("error-back", Reply::garbage()).await;
        self.callback("error-account", Reply::error("invalid_grant", 54_005, "Redeemed.")).await;
        let server = Reply::error("invalid_client", 700_213, "No matching federated identity record.");
        self.callback("error-server", server).await;
        let (error, description) = ("access_denied".to_owned(), "Not assigned.".to_owned());
        self.sent_back("error-person", Reply::Redirect { error, aadsts: 50_105, description }).await;
        let (error, description) = ("access_denied".to_owned(), "Admin consent is required.".to_owned());
        self.sent_back("error-consent", Reply::Redirect { error, aadsts: 90_094, description }).await;
        let answer = self.entrada.get(&format!("/auth/callback?admin_consent=True&tenant={TENANT}")).await;
        self.keep("admin-consent", &answer);
        let answer = self.entrada.get("/nothing").await;
        self.keep("not-found", &answer);
        let answer = self.entrada.get("/consent").await;
        self.keep("wrong-method", &answer);
    }
}

/// A client that the operator vouches for.
fn configured() -> ConfiguredClient {
    ConfiguredClient {
        id: "travel-agent".to_owned(),
        name: "Travel agent".to_owned(),
        redirect_uris: vec![RedirectUri::parse("https://travel.example.com/callback").unwrap()],
        scopes: ["mcp.read"].into_iter().collect(),
        secret_sha256: None,
        jwks: None,
    }
}

/// The names that clients give themselves when they want to be somebody else, or break the page.
pub fn hostile_names() -> [String; 6] {
    [
        "<script>alert(1)</script><img src=x onerror=alert(1)>".to_owned(),
        "\u{202e}\u{2066}edualC\u{202e} \u{200f}verified by Contoso\u{2067}".to_owned(),
        "\"><a href=\"https://evil.example\">Contoso".to_owned(),
        "W".repeat(80),
        "مساعد المصروفات لفريق المالية العام".to_owned(),
        format!("Z{}", "\u{0335}\u{0321}\u{0310}\u{030d}".repeat(19)),
    ]
}

async fn with_hostile_names() -> Vec<Page> {
    let mut server = resource(ISSUER, "/mcp", None);
    server.name = "Reisekostenabrechnungsgenehmigungsworkflowverwaltung & מערכת הוצאות".to_owned();
    server.scopes = (0..12)
        .map(|n| {
            let words = ["Read your expenses", "עריכת ההוצאות שלך", "اعتماد مصروفات الفريق بأكمله"];
            (format!("expenses.{}.{n}", "department".repeat(n % 4 + 1)), words[n % 3].to_owned())
        })
        .collect();
    server.default_scopes = server.scopes.iter().map(|(scope, _)| scope.as_str()).collect();
    let brand = Brand {
        name: Some("Bundesanstalt für Verwaltungsdienstleistungen und Donaudampfschifffahrt".to_owned()),
        ..contoso()
    };
    let trust = Trust { open: true, ..Trust::default() };
    let sign_in_with = "a-very-long-host-name-of-an-identity-provider.login.contoso.example:8443".to_owned();
    let setup = Setup { resources: vec![server], brand, trust, sign_in_with, ..Setup::default() };
    let mut gallery = Gallery::open("hostile-", setup).await;
    let host = format!("https://{}.example.net/{}", "a".repeat(60), "callback/".repeat(20));
    for (n, name) in hostile_names().iter().enumerate() {
        let client = json!({ "client_name": name, "redirect_uris": [host] });
        gallery.authorize(&format!("consent-{n}"), client.clone(), &[("scope", "")]).await;
        gallery.authorize(&format!("error-{n}"), client, &[("response_type", "token")]).await;
    }
    gallery.pages
}

/// The pages of the development identity provider.
pub async fn of_the_identity_provider() -> Vec<Page> {
    let mut gallery = Gallery::open("idp-", Setup::default()).await;
    gallery.entrada.script.asks();
    let client = Client::register(&gallery.entrada).await;
    let mut browser = Browser::default();
    let page = browser.open(&gallery.entrada, &client.authorize(&[])).await;
    let sign_in = browser.decide(&gallery.entrada, &page, "approve").await.location();
    for (state, url) in
        [("sign-in", sign_in.as_str()), ("failure", sign_in.as_str().split('?').next().unwrap())]
    {
        let response = gallery.entrada.http.get(url).send().await.unwrap();
        let answer = Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        };
        gallery.keep(state, &answer);
    }
    gallery.pages
}

/// All pages of Entrada.
pub async fn of_entrada() -> Vec<Page> {
    let mut pages = with_hostile_names().await;
    for (name, brand) in [("", Brand::default()), ("brand-", contoso())] {
        let clients = vec![configured()];
        let mut gallery =
            Gallery::open(name, Setup { brand: brand.clone(), clients, ..Setup::default() }).await;
        gallery.everything().await;
        pages.append(&mut gallery.pages);
        let rate = Rate { count: NonZeroU32::MIN, period: Duration::from_secs(60) };
        let limits = Limits { per_address: Some(rate), proxies: 0, ..Limits::default() };
        let mut gallery = Gallery::open(name, Setup { brand, limits, ..Setup::default() }).await;
        gallery.entrada.get("/authorize").await;
        let answer = gallery.entrada.get("/authorize").await;
        gallery.keep("limited", &answer);
        pages.append(&mut gallery.pages);
    }
    pages
}
