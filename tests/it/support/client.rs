//! An MCP client, step by step, so that each step can be done wrongly.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;
use url::Url;

use crate::support::browser::Browser;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::form_request;
use crate::support::entrada::parameter;

pub const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier-01";

/// A registered client.
#[derive(Clone, Debug)]
pub struct Client {
    pub id: String,
    pub secret: Option<String>,
    pub redirect_uri: String,
}

/// What the token endpoint gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
    pub scope: String,
    pub expires_in: u64,
}

impl Client {
    /// A public client on loopback.
    pub async fn register(entrada: &Entrada) -> Self {
        Self::register_with(entrada, json!({})).await
    }

    /// With other or more metadata.
    pub async fn register_with(entrada: &Entrada, more: Value) -> Self {
        let mut body = json!({
            "client_name": "Test Client",
            "redirect_uris": ["http://127.0.0.1:33418/callback"],
            "token_endpoint_auth_method": "none",
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = entrada.post_json("/register", &body).await;
        assert_eq!(answer.status, 201, "not registered: {}", answer.body);
        let registered = answer.json();
        let text = |name: &str| registered[name].as_str().map(str::to_owned);
        Self {
            id: text("client_id").unwrap(),
            secret: text("client_secret"),
            redirect_uri: registered["redirect_uris"][0].as_str().unwrap().to_owned(),
        }
    }

    /// The address of an authorization request. A parameter in `changes` replaces ours; an empty one
    /// removes it.
    pub fn authorize(&self, changes: &[(&str, &str)]) -> String {
        let challenge = challenge(VERIFIER);
        let ours = [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect_uri),
            ("state", "the-clients-state"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("scope", "mcp.read mcp.write"),
        ];
        let kept = ours.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let changed = changes.iter().copied().filter(|(_, value)| !value.is_empty());
        let query =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept.chain(changed)).finish();
        format!("/authorize?{query}")
    }

    /// Signs in and returns the code.
    pub async fn code(&self, entrada: &Entrada) -> String {
        let back = Browser::default().sign_in(entrada, &self.authorize(&[])).await;
        code_of(&back)
    }

    /// Redeems a code.
    pub async fn redeem(&self, entrada: &Entrada, code: &str) -> Answer {
        let form = self.redeem_form(code);
        let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        entrada.post_form("/token", &form).await
    }

    /// The form that redeems a code.
    pub fn redeem_form(&self, code: &str) -> Vec<(String, String)> {
        self.form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", VERIFIER),
        ])
    }

    /// Refreshes.
    pub async fn refresh(&self, entrada: &Entrada, token: &str) -> Answer {
        let form = self.refresh_form(token);
        let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        entrada.post_form("/token", &form).await
    }

    /// The form that refreshes.
    pub fn refresh_form(&self, token: &str) -> Vec<(String, String)> {
        self.form(&[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    fn form(&self, fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = [("client_id", Some(self.id.as_str())), ("client_secret", self.secret.as_deref())];
        let own = own.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
        fields.iter().copied().chain(own).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }

    /// Signs in and redeems.
    pub async fn tokens(&self, entrada: &Entrada) -> Tokens {
        let code = self.code(entrada).await;
        Tokens::of(&self.redeem(entrada, &code).await)
    }

    /// A request to the token endpoint with HTTP Basic.
    pub async fn token_by_basic(&self, entrada: &Entrada, secret: &str, form: &[(&str, &str)]) -> Answer {
        let pair = STANDARD.encode(format!("{}:{secret}", self.id));
        let mut request = form_request("/token", form);
        request.headers_mut().insert("authorization", format!("Basic {pair}").parse().unwrap());
        entrada.send(request).await
    }
}

impl Tokens {
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "no tokens: {}", answer.body);
        let body = answer.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("token_type"), "Bearer");
        Self {
            access: text("access_token"),
            refresh: text("refresh_token"),
            scope: text("scope"),
            expires_in: body["expires_in"].as_u64().unwrap(),
        }
    }

    /// The claims of the access token, unverified.
    pub fn claims(&self) -> Value {
        let payload = self.access.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }
}

/// The code in a redirect to the client.
pub fn code_of(back: &Url) -> String {
    parameter(back, "code").unwrap_or_else(|| panic!("no code: {back}"))
}

pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}
