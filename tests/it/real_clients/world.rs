//! What a client finds: the gateway before an MCP server that tells who called.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::demo::idp::Person;
use serde_json::Value;
use serde_json::json;
use url::Url;

use crate::real_clients::fixture::Check;
use crate::real_clients::fixture::Fixture;
use crate::real_clients::fixture::Probe;
use crate::real_clients::fixture::Revision;
use crate::support::browser::path_of;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::TENANT;
use crate::support::entrada::resource;
use crate::support::published::fetching;
use crate::support::race::Course;
use crate::support::race::Raced;
use crate::support::signer::Signer;
use crate::support::upstream::Upstream;
use crate::support::web::Web;

/// Not the first, who signs in where a test says nothing.
const PERSON: usize = 1;

pub const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#;

pub struct World {
    pub entrada: Entrada,
    pub course: Arc<Course>,
    /// Where clients publish what they are.
    pub web: Web,
    /// The key of a client that authenticates by one.
    pub signer: Signer,
    upstream: Upstream,
}

impl World {
    /// The address of the MCP server, as a person types it.
    pub fn mcp() -> String {
        format!("{ISSUER}/mcp")
    }

    pub async fn of(fixture: &Fixture) -> Self {
        let upstream = Upstream::start().await;
        let course = Arc::new(Course::default());
        let there = Arc::clone(&course);
        let (web, mut signer) = (Web::start().await, Signer::es256("key-1"));
        if let Some((id, document)) = fixture.document() {
            if let Some(jwks_uri) = document["jwks_uri"].as_str() {
                signer = Signer::rsa("key-1");
                web.serve(jwks_uri, json!({ "keys": [signer.jwk()] }));
            }
            web.serve(&id, document);
        }
        let setup = Setup {
            resources: vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))],
            clients: fixture.configured(),
            decorate: Box::new(move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _),
            ..Setup::default()
        };
        let entrada = Entrada::with(fetching(&web, setup)).await;
        entrada.script.person(PERSON);
        Self { entrada, course, web, signer, upstream }
    }

    /// Asks the MCP server, and tells whose `oid` reached it.
    pub async fn call(&self, access: &str) -> Result<String, Answer> {
        self.call_at(&self.entrada.router, access).await
    }

    pub async fn call_at(&self, router: &Router, access: &str) -> Result<String, Answer> {
        let request = Request::post("/mcp")
            .header("authorization", format!("Bearer {access}"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        let answer = self.entrada.send_to(router, request.body(Body::from(INITIALIZE)).unwrap()).await;
        if answer.status != 200 {
            return Err(answer);
        }
        let arrived = self.upstream.arrived().pop().expect("the request reached the MCP server");
        let token = arrived.headers["authorization"].to_str().unwrap();
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        Ok(claims["oid"].as_str().unwrap().to_owned())
    }

    /// The `oid` of who signs in.
    pub fn oid() -> String {
        Person::three(TENANT)[PERSON].oid.clone()
    }

    /// What is at an absolute address, where that is a JSON object.
    pub async fn document(&self, address: &str) -> Option<Value> {
        assert!(address.starts_with(&format!("{ISSUER}/")), "an address of another server: {address}");
        let request = Request::get(path_of(address)).header("accept", "application/json");
        let answer = self.entrada.send(request.body(Body::empty()).unwrap()).await;
        let found: Option<Value> = (answer.status == 200).then(|| serde_json::from_str(&answer.body).ok())?;
        found.filter(Value::is_object)
    }
}

impl Revision {
    /// Where the metadata of the resource may be, in order.
    pub fn resource_metadata(self, named: Option<&str>) -> Vec<String> {
        let well_known = format!("{ISSUER}/.well-known/oauth-protected-resource");
        let guesses = [format!("{well_known}/mcp"), well_known];
        match (self, named) {
            // There was no such document yet.
            (Self::March2025, _) => Vec::new(),
            // The header had to be there.
            (Self::June2025, named) => named.map(str::to_owned).into_iter().collect(),
            (Self::November2025 | Self::July2026, Some(named)) => vec![named.to_owned()],
            (Self::November2025 | Self::July2026, None) => guesses.into(),
        }
    }

    /// Where the metadata of the authorization server may be, in order.
    pub fn server_metadata(self, server: &str) -> Vec<String> {
        let url = Url::parse(server).unwrap();
        let (origin, path) = (url.origin().ascii_serialization(), url.path().trim_end_matches('/'));
        let oauth = format!("{origin}/.well-known/oauth-authorization-server");
        let openid = format!("{origin}/.well-known/openid-configuration");
        match (self, path) {
            // The path of the MCP server was discarded, and there was no other document.
            (Self::March2025, _) => vec![oauth],
            (Self::June2025, path) => vec![format!("{oauth}{path}")],
            (Self::November2025 | Self::July2026, "") => vec![oauth, openid],
            (Self::November2025 | Self::July2026, path) => {
                let appended = format!("{origin}{path}/.well-known/openid-configuration");
                vec![format!("{oauth}{path}"), format!("{openid}{path}"), appended]
            }
        }
    }
}

/// What a client knows when it has looked around.
pub struct Found {
    pub challenge_scope: String,
    pub resource: String,
    pub resource_scopes: String,
    /// The metadata of the authorization server.
    pub server: Value,
}

impl Found {
    /// Goes the client's way from the 401 to the authorization server.
    pub async fn by(world: &World, fixture: &Fixture) -> Self {
        let who = &fixture.client;
        let revision = fixture.discovery.revision;
        let challenge = challenge(world, fixture).await;
        let documents = revision.resource_metadata(parameter(&challenge, "resource_metadata"));
        let resource = first(world, &documents).await;
        assert_eq!(resource.is_none(), revision == Revision::March2025, "{who}: {documents:?}");
        let named = resource.as_ref().map(|found| found["authorization_servers"][0].as_str().unwrap());
        // Before there was a name, it was the origin of the MCP server.
        let issuer = named.unwrap_or(ISSUER).to_owned();
        let addresses = revision.server_metadata(&issuer);
        let server =
            first(world, &addresses).await.unwrap_or_else(|| panic!("{who}: nothing at {addresses:?}"));
        let resource = resource.unwrap_or_default();
        let found = Self {
            challenge_scope: parameter(&challenge, "scope").unwrap_or_default().to_owned(),
            resource: resource["resource"].as_str().map_or_else(World::mcp, str::to_owned),
            resource_scopes: words(&resource["scopes_supported"]),
            server,
        };
        for check in &fixture.discovery.checks {
            assert!(found.passes(*check, &issuer), "{who} goes no further: {check:?} in {}", found.server);
        }
        found
    }

    fn passes(&self, check: Check, issuer: &str) -> bool {
        let lists = |member: &str, word: &str| {
            self.server[member].as_array().is_some_and(|listed| listed.iter().any(|listed| listed == word))
        };
        match check {
            Check::Resource => self.resource == World::mcp(),
            Check::Issuer => self.server["issuer"] == issuer,
            Check::S256 => lists("code_challenge_methods_supported", "S256"),
            Check::None => lists("token_endpoint_auth_methods_supported", "none"),
            Check::ClientSecretPost => lists("token_endpoint_auth_methods_supported", "client_secret_post"),
            Check::RegistrationEndpoint => self.server["registration_endpoint"].is_string(),
            Check::Documents => self.server["client_id_metadata_document_supported"] == true,
            Check::PrivateKeyJwt => lists("token_endpoint_auth_methods_supported", "private_key_jwt"),
            Check::Iss => self.server["authorization_response_iss_parameter_supported"] == true,
        }
    }

    /// The path of an endpoint that the server named.
    pub fn endpoint(&self, member: &str) -> String {
        let address = self.server[member].as_str().unwrap_or_else(|| panic!("no {member}: {}", self.server));
        assert!(address.starts_with(&format!("{ISSUER}/")), "{member}: {address}");
        path_of(address)
    }

    /// Fills in what a fixture leaves to what was found.
    pub fn filled_in(&self, scope: &str) -> String {
        scope
            .replace("{challenge}", &self.challenge_scope)
            .replace("{resource}", &self.resource_scopes)
            .replace("{server}", &words(&self.server["scopes_supported"]))
    }
}

/// The header that refuses the first request.
async fn challenge(world: &World, fixture: &Fixture) -> String {
    let request = match fixture.discovery.probe {
        Probe::Head => Request::head("/mcp").header("accept", "application/json").body(Body::empty()),
        Probe::Get => Request::get("/mcp").header("accept", "text/event-stream").body(Body::empty()),
        Probe::Post => Request::post("/mcp")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(Body::from(INITIALIZE)),
    };
    let answer = world.entrada.send(request.unwrap()).await;
    assert_eq!(answer.status, 401, "{}: {}", fixture.client, answer.body);
    answer.header("www-authenticate").to_owned()
}

/// A parameter of a challenge.
pub fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let parameters = challenge.strip_prefix("Bearer ")?.split(", ");
    let mut values = parameters.filter_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name));
    values.next().map(|(_, value)| value.trim_matches('"'))
}

/// The first of these addresses at which there is a document.
async fn first(world: &World, addresses: &[String]) -> Option<Value> {
    for address in addresses {
        if let Some(found) = world.document(address).await {
            return Some(found);
        }
    }
    None
}

fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    words.collect::<Vec<_>>().join(" ")
}
