//! A client at work: it registers, asks, redeems and refreshes in the way of its fixture.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entrada::ports::clock::Clock;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::real_clients::fixture::Fixture;
use crate::real_clients::fixture::Proof;
use crate::real_clients::world::Found;
use crate::real_clients::world::World;
use crate::support::browser::Browser;
use crate::support::client::Tokens;
use crate::support::client::VERIFIER;
use crate::support::client::challenge;
use crate::support::client::code_of;
use crate::support::entrada::Answer;
use crate::support::entrada::ISSUER;
use crate::support::entrada::form_request;
use crate::support::entrada::parameter;
use crate::support::signer::JWT_BEARER;

pub struct Session<'a> {
    pub fixture: &'a Fixture,
    pub found: Found,
    pub id: String,
    pub secret: Option<String>,
}

type Form<'a> = Vec<(&'static str, &'a str)>;

impl<'a> Session<'a> {
    /// Looks around and registers, names its document, or takes what the operator gave it.
    pub async fn begin(world: &World, fixture: &'a Fixture) -> Self {
        let found = Found::by(world, fixture).await;
        if let Some((id, secret)) = fixture.credentials() {
            return Self { fixture, found, id, secret: Some(secret) };
        }
        if let Some((id, _)) = fixture.document() {
            return Self { fixture, found, id, secret: None };
        }
        let answer = register(world, fixture, &found).await;
        assert_eq!(answer.status, 201, "{} is not registered: {}", fixture.client, answer.body);
        let registered = answer.json();
        let text = |member: &str| registered[member].as_str().map(str::to_owned);
        Self { fixture, found, id: text("client_id").unwrap(), secret: text("client_secret") }
    }

    /// The address that it opens in the browser.
    pub fn authorize(&self, redirect_uri: &str) -> String {
        let Fixture { authorize, .. } = self.fixture;
        let mut query = Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("state", self.state())
            .append_pair("code_challenge", &challenge(VERIFIER))
            .append_pair("code_challenge_method", "S256");
        let optional = [
            ("scope", authorize.scope.as_deref().map(|scope| self.found.filled_in(scope))),
            ("prompt", authorize.prompt.clone()),
        ];
        for (name, value) in optional {
            query.extend_pairs(value.map(|value| (name, value)));
        }
        for _ in 0..authorize.resource {
            query.append_pair("resource", &self.found.resource);
        }
        format!("{}?{}", self.found.endpoint("authorization_endpoint"), query.finish())
    }

    fn state(&self) -> &str {
        self.fixture.authorize.state.as_deref().unwrap_or("the-clients-state")
    }

    /// The person's part, up to the code.
    pub async fn code(&self, world: &World, redirect_uri: &str) -> String {
        let (who, entrada) = (&self.fixture.client, &world.entrada);
        if self.fixture.authorize.looks_first.is_some() {
            let seen = self.look_first(world, redirect_uri).await;
            assert_eq!(seen.status, 200, "{who} opens no browser: {}", seen.body);
        }
        let mut browser = Browser::default();
        let page = browser.open(entrada, &self.authorize(redirect_uri)).await;
        assert_eq!(page.status, 200, "{who} gets no consent page: {}", page.body);
        self.check_page(&page, redirect_uri);
        let approved = browser.decide(entrada, &page, "approve").await;
        assert_eq!(approved.status, 303, "{who}: {}", approved.body);
        let callback = browser.at_idp(entrada, &approved.location()).await;
        let back = self.back(&browser.open(entrada, callback.as_str()).await, redirect_uri);
        assert_eq!(parameter(&back, "state").as_deref(), Some(self.state()), "{who}: {back}");
        assert_eq!(parameter(&back, "iss").as_deref(), Some(ISSUER), "{who}: {back}");
        code_of(&back)
    }

    /// What the client itself gets at the address that it is about to open.
    pub async fn look_first(&self, world: &World, redirect_uri: &str) -> Answer {
        let accept = self.fixture.authorize.looks_first.as_ref().map_or("*/*", |look| look.accept.as_str());
        let request = Request::get(self.authorize(redirect_uri)).header("accept", accept);
        world.entrada.send(request.body(Body::empty()).unwrap()).await
    }

    /// The page names the client and who will have access.
    fn check_page(&self, page: &Answer, redirect_uri: &str) {
        let who = &self.fixture.client;
        let url = Url::parse(redirect_uri).unwrap();
        let host = match url.scheme() {
            "http" | "https" => url.host_str().unwrap().to_owned(),
            scheme => format!("{scheme}:"),
        };
        let name = format!("<bdi>{}</bdi>", self.fixture.name());
        assert!(page.body.contains(&name), "{who}: not {name} in {}", page.body);
        let (_, rest) = page.body.split_once("Access goes to").expect("who will have access");
        let (access, _) = rest.split_once("</div>").unwrap();
        assert!(access.contains(&host), "{who}: not {host} in {access}");
        let on_this_machine = url.scheme() != "https";
        assert_eq!(page.body.contains("Did you start this?"), on_this_machine, "{who}: {}", page.body);
    }

    /// Where the browser goes in the end. An application is opened by a page, everything else by a redirect.
    fn back(&self, answer: &Answer, redirect_uri: &str) -> Url {
        let who = &self.fixture.client;
        let location = if redirect_uri.starts_with("http") {
            assert_eq!(answer.status, 303, "{who} is not signed in: {}", answer.body);
            answer.header("location")
        } else {
            assert_eq!(
                (answer.status.as_u16(), answer.header("location")),
                (200, ""),
                "{who}: {}",
                answer.body
            );
            let location = answer.header("refresh").strip_prefix("0; url=").unwrap_or_default();
            let link = format!("href=\"{}\"", location.replace('&', "&#38;"));
            assert!(answer.body.contains(&link), "{who}: no {link} in {}", answer.body);
            location
        };
        let begins = location.split_once('?').map(|(begins, _)| begins);
        assert_eq!(begins, Some(redirect_uri), "{who}: {location}");
        Url::parse(location).unwrap()
    }

    /// Redeems a code.
    pub async fn redeem(&self, world: &World, redirect_uri: &str, code: &str) -> Tokens {
        let Fixture { client: who, token, .. } = self.fixture;
        let mut form: Form<'_> =
            vec![("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
        form.extend(token.redirect_uri.then_some(("redirect_uri", redirect_uri)));
        let answer = world.entrada.send(self.token_request(world, form, token.resource)).await;
        assert_eq!(answer.status, 200, "{who} gets no tokens: {}", answer.body);
        assert_eq!(answer.header("cache-control"), "no-store", "{who}");
        let tokens = Tokens::of(&answer);
        assert_eq!(tokens.scope, token.scope, "{who} is told of other scopes than it asked for");
        assert!(!tokens.refresh.is_empty() && tokens.expires_in == 3_600, "{who}: {}", answer.body);
        let claims = tokens.claims();
        assert_eq!(claims["aud"], World::mcp(), "{who}");
        assert_eq!(claims["client_id"], self.id, "{who}");
        assert_eq!(claims["scope"], tokens.scope, "{who}");
        tokens
    }

    /// Everything after the registration, and a call.
    pub async fn connect(&self, world: &World, redirect_uri: &str) -> Tokens {
        let code = self.code(world, redirect_uri).await;
        let tokens = self.redeem(world, redirect_uri, &code).await;
        self.check_call(world, &tokens).await;
        tokens
    }

    /// The MCP server learns who calls.
    pub async fn check_call(&self, world: &World, tokens: &Tokens) {
        let oid = world.call(&tokens.access).await;
        let oid =
            oid.unwrap_or_else(|answer| panic!("{} does not get through: {answer:?}", self.fixture.client));
        assert_eq!(oid, World::oid(), "{}", self.fixture.client);
    }

    /// Refreshes, at one replica.
    pub async fn refresh_at(&self, world: &World, router: &Router, tokens: &Tokens) -> Answer {
        let scope =
            self.fixture.refresh.scope.as_deref().map(|scope| scope.replace("{granted}", &tokens.scope));
        let mut form: Form<'_> = vec![("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)];
        form.extend(scope.as_deref().map(|scope| ("scope", scope)));
        let request = self.token_request(world, form, self.fixture.refresh.resource);
        world.entrada.send_to(router, request).await
    }

    /// Refreshes, and looks at what came.
    pub async fn refreshed_at(&self, world: &World, router: &Router, tokens: &Tokens) -> Tokens {
        let answer = self.refresh_at(world, router, tokens).await;
        assert_eq!(answer.status, 200, "{} does not refresh: {}", self.fixture.client, answer.body);
        let refreshed = Tokens::of(&answer);
        assert_eq!(refreshed.scope, tokens.scope, "{}", self.fixture.client);
        assert_ne!(refreshed.refresh, tokens.refresh, "{}", self.fixture.client);
        refreshed
    }

    /// A request to the token endpoint, with the client's proof of who it is.
    fn token_request<'b>(&'b self, world: &World, form: Form<'b>, resources: usize) -> Request<Body> {
        let proof = self.fixture.token.proof;
        let assertion = world.signer.assertion(&self.id, world.entrada.clock.now());
        let mut form: Form<'_> = form;
        let secret = self.secret.as_deref();
        form.extend((0..resources).map(|_| ("resource", self.found.resource.as_str())));
        if proof == Proof::Assertion {
            form.extend([("client_assertion_type", JWT_BEARER), ("client_assertion", &assertion)]);
        } else if proof != Proof::Basic {
            form.push(("client_id", &self.id));
        }
        if proof == Proof::Post {
            form.push(("client_secret", secret.expect("it was given a secret")));
        }
        let mut request = form_request(&self.found.endpoint("token_endpoint"), &form);
        if self.uses_basic() {
            let pair = STANDARD.encode(format!("{}:{}", self.id, secret.expect("it was given a secret")));
            request.headers_mut().insert("authorization", format!("Basic {pair}").parse().unwrap());
        }
        request
    }

    pub fn uses_basic(&self) -> bool {
        matches!(self.fixture.token.proof, Proof::Basic | Proof::BasicAndId)
    }
}

/// Sends the body as the client sends it.
pub async fn register(world: &World, fixture: &Fixture, found: &Found) -> Answer {
    let (text, _) = fixture.registration().expect("it registers itself");
    let request = Request::post(found.endpoint("registration_endpoint"))
        .header("content-type", "application/json")
        .header("accept", "application/json");
    world.entrada.send(request.body(Body::from(text.to_owned())).unwrap()).await
}

/// Whether there is a `null` anywhere: clients that validate what they get refuse it.
pub fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
