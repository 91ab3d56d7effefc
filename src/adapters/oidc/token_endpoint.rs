use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::StatusCode;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde::Deserialize;
use url::form_urlencoded;

use crate::ports::idp::UpstreamError;

use super::client_authentication::ClientAuthentication;
use super::discovery::Discovered;
use super::failure::away;
use super::failure::refused;
use super::http_client::HttpClient;
use super::realm::Realm;
use super::refusal::of_token_request;

/// Who we are at the token endpoint, and what we ask for there.
pub(super) struct Registration {
    pub client_id: String,
    pub client_secret: SecretString,
    pub redirect_uri: String,
    /// Sent with every request: Entra refuses a code or a refresh token without it (AADSTS900144), or
    /// takes the request for one about ourselves (AADSTS90009).
    pub scope: String,
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

impl Registration {
    /// Asks the token endpoint. There is no second attempt: a code or a rotating refresh token is spent
    /// by the first, and asking again would look like theft.
    pub(super) async fn request(
        &self,
        http: &HttpClient,
        realm: &Realm,
        discovered: &Discovered,
        redeemed: &Redeemed<'_>,
    ) -> Result<Tokens, UpstreamError> {
        let authentication =
            discovered.authentication.ok_or_else(|| refused("it accepts no client secret"))?;
        let form = self.form(redeemed, authentication);
        let header = (authentication == ClientAuthentication::Basic).then(|| self.basic());
        let answer = http.post(&discovered.token_endpoint, form, header).await?;
        if answer.status != StatusCode::OK {
            return Err(of_token_request(&answer, realm));
        }
        serde_json::from_slice(&answer.body).map_err(|_| away("what the token endpoint sent cannot be read"))
    }

    fn form(&self, redeemed: &Redeemed<'_>, authentication: ClientAuthentication) -> String {
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
        form.append_pair("scope", &self.scope);
        if authentication == ClientAuthentication::Post {
            form.append_pair("client_id", &self.client_id)
                .append_pair("client_secret", self.client_secret.expose_secret());
        }
        form.finish()
    }

    /// Both halves are form-encoded before they are joined (RFC 6749 §2.3.1): either may hold a colon.
    fn basic(&self) -> HeaderValue {
        let encoded = |word: &str| form_urlencoded::byte_serialize(word.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encoded(&self.client_id), encoded(self.client_secret.expose_secret()));
        let mut header = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
            .expect("base64 is printable ASCII");
        header.set_sensitive(true);
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_basic_header_survives_every_character() {
        let registration = Registration {
            client_id: "https://a.example:1".into(),
            client_secret: "p:a +%ä".into(),
            redirect_uri: String::new(),
            scope: String::new(),
        };
        let header = registration.basic();
        assert!(header.is_sensitive());
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
        assert_eq!(pair, "https%3A%2F%2Fa.example%3A1:p%3Aa+%2B%25%C3%A4");
    }
}
