//! What is known of a client, as its file says it.

use entrada::domain::client::ConfiguredClient;
use entrada::protocol::redirect_uri::RedirectUri;
use serde::Deserialize;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;

/// One file in `real_clients/`. An unknown key is a mistake in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fixture {
    /// What its maker calls it: every assertion begins with it.
    pub client: String,
    /// Where that was seen: `repository#issue`, or a file of its source.
    pub evidence: Vec<String>,
    pub discovery: Discovery,
    /// The body that it sends to the registration endpoint, as it sends it.
    registration: Option<String>,
    /// In its place: the document that it publishes about itself.
    document: Option<String>,
    /// Or what the operator writes down.
    configured: Option<Configured>,
    /// What has to come back.
    pub registered: Option<Registered>,
    pub authorize: Authorize,
    pub token: Token,
    pub refresh: Refresh,
}

/// How it finds the authorization server.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// The revision of MCP whose order of addresses it follows.
    pub revision: Revision,
    /// How it asks the MCP server at first.
    pub probe: Probe,
    /// What it insists on before it goes on.
    pub checks: Vec<Check>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Probe {
    Head,
    Get,
    Post,
}

/// A revision of the MCP authorization specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Revision {
    #[serde(rename = "2025-03-26")]
    March2025,
    #[serde(rename = "2025-06-18")]
    June2025,
    #[serde(rename = "2025-11-25")]
    November2025,
    #[serde(rename = "2026-07-28")]
    July2026,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// `resource` of the metadata is the address that the person typed (RFC 9728 §3.3).
    Resource,
    /// `issuer` is, as text, what the resource's metadata call the server (RFC 8414 §3.3).
    Issuer,
    /// PKCE by S256 is announced.
    S256,
    /// The method `none` is announced.
    None,
    /// The method `client_secret_post` is announced.
    ClientSecretPost,
    /// There is somewhere to register.
    RegistrationEndpoint,
    /// `iss` in the answer is announced (RFC 9207 §3).
    Iss,
    /// Client ID Metadata Documents are announced.
    Documents,
    /// The method `private_key_jwt` is announced.
    PrivateKeyJwt,
}

/// A client that the operator enters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Configured {
    id: String,
    name: String,
    redirect_uris: Vec<String>,
    secret: String,
}

/// What a registration has to come back with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Registered {
    pub method: String,
    pub secret: bool,
    pub application_type: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Authorize {
    /// Each of these is one that it may choose; a loopback one need not have the port that it registered.
    pub redirect_uris: Vec<String>,
    /// Absent: it sends none. `{challenge}`, `{resource}` and `{server}` stand for what was found there.
    pub scope: Option<String>,
    /// How often it says which resource.
    pub resource: usize,
    pub prompt: Option<String>,
    pub state: Option<String>,
    pub looks_first: Option<LooksFirst>,
}

/// Asks the address itself before it opens a browser there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LooksFirst {
    pub accept: String,
    /// The status at which it forgets its registration and makes another.
    pub registers_again_at: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Token {
    pub proof: Proof,
    pub redirect_uri: bool,
    pub resource: usize,
    /// What the answer has to say, word for word.
    pub scope: String,
}

/// How it proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Its id alone.
    Id,
    Basic,
    Post,
    /// HTTP Basic, and its id in the form as well.
    BasicAndId,
    /// A JWT that it signs by RS256; its id stands there and not in the form.
    Assertion,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Refresh {
    pub resource: usize,
    /// Absent: it sends none. `{granted}` stands for what the token answer said.
    pub scope: Option<String>,
    pub habits: Vec<Habit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Habit {
    Once,
    /// Each of its processes, or windows, with the same token at the same moment.
    SixAtOnce,
    /// Two machines of its vendor, five seconds apart, with the same token.
    TwoNodes,
    /// The answer does not arrive, and it asks again after a time that was measured.
    AnswerLost,
}

impl Fixture {
    pub fn read(file: &str, toml: &str) -> Self {
        let fixture: Self = toml::from_str(toml).unwrap_or_else(|error| panic!("{file}.toml: {error}"));
        assert!(!fixture.evidence.is_empty(), "{file}.toml: where was that seen?");
        let ways = [&fixture.registration, &fixture.document].into_iter().flatten().count();
        assert_eq!(
            ways + fixture.configured.iter().count(),
            1,
            "{file}.toml: it registers itself, publishes a document, or the operator enters it"
        );
        assert_eq!(fixture.registration.is_some(), fixture.registered.is_some(), "{file}.toml");
        fixture
    }

    /// The body of its registration, as text and read; `None` for one that the operator enters.
    pub fn registration(&self) -> Option<(&str, Value)> {
        let text = self.registration.as_deref()?;
        let body = serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", self.client));
        Some((text, body))
    }

    /// The document that it publishes, and the address of that, which is its id.
    pub fn document(&self) -> Option<(String, Value)> {
        let text = self.document.as_deref()?;
        let document: Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", self.client));
        Some((document["client_id"].as_str().unwrap().to_owned(), document))
    }

    /// What it calls itself, or what the operator calls it.
    pub fn name(&self) -> String {
        let said = self.registration().map(|(_, body)| body).or(self.document().map(|(_, body)| body));
        match (&self.configured, said) {
            (Some(configured), _) => configured.name.clone(),
            (None, said) => said.unwrap_or_default()["client_name"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// The id and secret that the operator gave it.
    pub fn credentials(&self) -> Option<(String, String)> {
        self.configured.as_ref().map(|client| (client.id.clone(), client.secret.clone()))
    }

    /// What the operator writes into the configuration.
    pub fn configured(&self) -> Vec<ConfiguredClient> {
        let client = |client: &Configured| ConfiguredClient {
            id: client.id.clone(),
            name: client.name.clone(),
            redirect_uris: client.redirect_uris.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect(),
            scopes: std::iter::empty::<&str>().collect(),
            secret_sha256: Some(Sha256::digest(&client.secret).into()),
            jwks: None,
        };
        self.configured.iter().map(client).collect()
    }
}
