use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::StatusCode;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde::Deserialize;
use url::form_urlencoded;

use crate::ports::clock::Clock;
use crate::ports::idp::UpstreamError;

use super::client_authentication::ClientAuthentication;
use super::discovery::Discovered;
use super::failure::away;
use super::failure::refused;
use super::http_client::Answer;
use super::http_client::HttpClient;
use super::proof::Assertion;
use super::proof::Presented;
use super::proof::Proof;
use super::realm::Realm;
use super::refusal::of_token_request;
use super::spread::Spread;
use super::spread::rest;

/// RFC 7523 §2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who we are at the token endpoint, and what we ask for there.
pub(super) struct Registration {
    pub client_id: String,
    pub proof: Proof,
    pub redirect_uri: String,
    /// Sent with every request: Entra refuses a code or a refresh token without it (AADSTS900144), or
    /// takes the request for one about ourselves (AADSTS90009).
    pub scope: String,
    pub spread: Spread,
}

/// What is redeemed (RFC 6749 §4.1.3, §6).
pub(super) enum Redeemed<'a> {
    Code { code: &'a SecretString, code_verifier: &'a SecretString },
    RefreshToken(&'a SecretString),
}

/// The answer (RFC 6749 §5.1, OpenID Connect Core 1.0 §3.1.3.3).
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub access_token: String,
    pub id_token: Option<String>,
    refresh_token: Option<String>,
}

impl Tokens {
    pub(super) fn refresh_token(self) -> Option<SecretString> {
        self.refresh_token.filter(|token| !token.is_empty()).map(SecretString::from)
    }
}

/// The provider, and the way to it.
pub(super) struct There<'a> {
    pub http: &'a HttpClient,
    pub realm: &'a Realm,
    pub discovered: &'a Discovered,
    pub clock: &'a dyn Clock,
}

impl Registration {
    /// Asks the token endpoint for tokens of `scope`. There is no second attempt: a code or a rotating refresh token is
    /// spent by the first, and asking again would look like theft. Only where Entra does not know our federated
    /// credential yet nothing has been spent.
    pub(super) async fn request(
        &self,
        there: &There<'_>,
        redeemed: &Redeemed<'_>,
        scope: &str,
    ) -> Result<Tokens, UpstreamError> {
        let mut attempts = 0;
        let answer = loop {
            let answer = self.ask(there, redeemed, scope).await?;
            attempts += 1;
            let pause = self.spread.pause(attempts, &answer, there.clock.elapsed());
            match pause.filter(|_| self.proof.is_federated()) {
                Some(pause) => rest(pause).await,
                None => break answer,
            }
        };
        if answer.status != StatusCode::OK {
            return Err(of_token_request(&answer, there.realm));
        }
        serde_json::from_slice(&answer.body).map_err(|_| away("what the token endpoint sent cannot be read"))
    }

    async fn ask(
        &self,
        there: &There<'_>,
        redeemed: &Redeemed<'_>,
        scope: &str,
    ) -> Result<Answer, UpstreamError> {
        let There { http, realm, discovered, clock } = there;
        let about = Assertion {
            client_id: &self.client_id,
            token_endpoint: discovered.token_endpoint.as_str(),
            exchange: realm.token_exchange(),
            now: clock.now(),
        };
        let presented = self.proof.present(&about).await?;
        let (form, header) = self.authenticated(redeemed, scope, presented, discovered.authentication)?;
        http.post(&discovered.token_endpoint, form, header).await
    }

    /// The form, and what goes beside it, with the proof in one of them.
    fn authenticated(
        &self,
        redeemed: &Redeemed<'_>,
        scope: &str,
        presented: Presented<'_>,
        authentication: Option<ClientAuthentication>,
    ) -> Result<(String, Option<HeaderValue>), UpstreamError> {
        let mut form = self.form(redeemed, scope);
        let mut header = None;
        match (presented, authentication) {
            (Presented::Assertion(assertion), _) => {
                form.append_pair("client_id", &self.client_id)
                    .append_pair("client_assertion_type", JWT_BEARER)
                    .append_pair("client_assertion", assertion.expose_secret());
            }
            (Presented::Secret(secret), Some(ClientAuthentication::Post)) => {
                form.append_pair("client_id", &self.client_id)
                    .append_pair("client_secret", secret.expose_secret());
            }
            (Presented::Secret(secret), Some(ClientAuthentication::Basic)) => {
                header = Some(basic(&self.client_id, secret));
            }
            (Presented::Secret(_), None) => return Err(refused("it accepts no client secret")),
        }
        Ok((form.finish(), header))
    }

    fn form(&self, redeemed: &Redeemed<'_>, scope: &str) -> form_urlencoded::Serializer<'static, String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match redeemed {
            Redeemed::Code { code, code_verifier } => form
                .append_pair("grant_type", "authorization_code")
                .append_pair("code", code.expose_secret())
                .append_pair("redirect_uri", &self.redirect_uri)
                .append_pair("code_verifier", code_verifier.expose_secret()),
            Redeemed::RefreshToken(token) => form
                .append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", token.expose_secret()),
        };
        form.append_pair("scope", scope);
        form
    }
}

/// Both halves are form-encoded before they are joined (RFC 6749 §2.3.1): either may hold a colon.
fn basic(client_id: &str, secret: &SecretString) -> HeaderValue {
    let encoded = |word: &str| form_urlencoded::byte_serialize(word.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(client_id), encoded(secret.expose_secret()));
    let mut header =
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).expect("base64 is printable ASCII");
    header.set_sensitive(true);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_basic_header_survives_every_character() {
        let header = basic("https://a.example:1", &"p:a +%ä".into());
        assert!(header.is_sensitive());
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
        assert_eq!(pair, "https%3A%2F%2Fa.example%3A1:p%3Aa+%2B%25%C3%A4");
    }
}
