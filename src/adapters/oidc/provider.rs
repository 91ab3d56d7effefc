use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use crate::domain::person::Person;
use crate::domain::time::Timestamp;
use crate::ports::clock::Clock;
use crate::ports::idp::IdentityProvider;
use crate::ports::idp::Refreshed;
use crate::ports::idp::SignInAnswer;
use crate::ports::idp::SignInRequest;
use crate::ports::idp::SignedIn;
use crate::ports::idp::UpstreamError;

use super::Kind;
use super::Settings;
use super::SettingsError;
use super::discovery::Discovered;
use super::discovery::discover;
use super::discovery::fetch_keys;
use super::failure::invalid;
use super::failure::refused;
use super::graph;
use super::http_client::HttpClient;
use super::http_client::REQUEST_TIMEOUT;
use super::id_token::Doubt;
use super::id_token::Expected;
use super::id_token::verify;
use super::kept::Kept;
use super::key_set::KeySet;
use super::realm::Realm;
use super::refusal::not_groups;
use super::refusal::of_sign_in;
use super::spread::Spread;
use super::token_endpoint::Redeemed;
use super::token_endpoint::Registration;
use super::token_endpoint::There;
use super::token_endpoint::Tokens;

/// Asked for always: who it is, and a refresh token to ask again with.
const SCOPES: [&str; 3] = ["openid", "profile", "offline_access"];

/// The identity provider.
pub struct OidcProvider {
    realm: Realm,
    registration: Registration,
    clock: Arc<dyn Clock>,
    http: HttpClient,
    discovered: Kept<Discovered>,
    keys: Kept<KeySet>,
}

impl fmt::Debug for OidcProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcProvider").finish_non_exhaustive()
    }
}

impl OidcProvider {
    /// Takes the settings. Nothing is asked of the provider until somebody signs in, so that a program
    /// starts whether the provider is up or not.
    ///
    /// # Errors
    ///
    /// When the settings cannot be right.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, SettingsError> {
        Self::with_timeout(settings, clock, REQUEST_TIMEOUT)
    }

    /// The same, with a patience of its own for each request.
    ///
    /// # Errors
    ///
    /// When the settings cannot be right.
    pub fn with_timeout(
        settings: Settings,
        clock: Arc<dyn Clock>,
        timeout: Duration,
    ) -> Result<Self, SettingsError> {
        let http = HttpClient::new(timeout).map_err(SettingsError::HttpClient)?;
        Url::parse(&settings.redirect_uri).map_err(|_| SettingsError::RedirectUri)?;
        let mut scopes = SCOPES.to_vec();
        for scope in &settings.scopes {
            if !scopes.contains(&scope.as_str()) {
                scopes.push(scope);
            }
        }
        let scope = scopes.join(" ");
        if matches!(settings.kind, Kind::Oidc { .. }) && !settings.proof.is_secret() {
            return Err(SettingsError::Proof);
        }
        Ok(Self {
            realm: Realm::new(settings.kind, &settings.client_id)?,
            registration: Registration {
                client_id: settings.client_id,
                proof: settings.proof,
                redirect_uri: settings.redirect_uri,
                scope,
                spread: Spread::default(),
            },
            clock,
            http,
            discovered: Kept::new(),
            keys: Kept::new(),
        })
    }

    async fn discovered(&self) -> Result<Arc<Discovered>, UpstreamError> {
        self.discovered.get(self.clock.now(), discover(&self.http, &self.realm)).await
    }

    /// Redeems, with all that validating the answer needs fetched before: a code is spent once, and a
    /// provider that rotates refresh tokens gives the next one in an answer that cannot be had again.
    async fn redeem_with(&self, redeemed: &Redeemed<'_>) -> Result<Answered, UpstreamError> {
        let discovered = self.discovered().await?;
        let keys = self.keys.get(self.clock.now(), fetch_keys(&self.http, &discovered.jwks_uri)).await?;
        let tokens = self.tokens(&discovered, redeemed, &self.registration.scope).await?;
        Ok(Answered { discovered, keys, tokens })
    }

    async fn tokens(
        &self,
        discovered: &Discovered,
        redeemed: &Redeemed<'_>,
        scope: &str,
    ) -> Result<Tokens, UpstreamError> {
        let (http, realm, clock) = (&self.http, &self.realm, self.clock.as_ref());
        self.registration.request(&There { http, realm, discovered, clock }, redeemed, scope).await
    }

    /// Who the ID token is about.
    async fn person(
        &self,
        answered: &Answered,
        id_token: &str,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<Person, UpstreamError> {
        let expected = Expected {
            client_id: &self.registration.client_id,
            realm: &self.realm,
            issuer: &answered.discovered.issuer,
            nonce,
            access_token: &answered.tokens.access_token,
            now,
        };
        let claims = match verify(id_token, &answered.keys, &expected) {
            Ok(claims) => claims,
            Err(Doubt::Certain(error)) => return Err(error),
            Err(Doubt::UnknownKey) => {
                let fetch = fetch_keys(&self.http, &answered.discovered.jwks_uri);
                let newer = self.keys.newer(&answered.keys, self.clock.now(), fetch).await?;
                let unknown = || invalid("the ID token is signed by a key that is not published");
                verify(id_token, &*newer.ok_or_else(unknown)?, &expected).map_err(|doubt| match doubt {
                    Doubt::UnknownKey => unknown(),
                    Doubt::Certain(error) => error,
                })?
            }
        };
        self.realm.person(&claims)
    }
}

/// An answer of the token endpoint, and what it is judged by.
struct Answered {
    discovered: Arc<Discovered>,
    keys: Arc<KeySet>,
    tokens: Tokens,
}

#[async_trait]
impl IdentityProvider for OidcProvider {
    fn rotates(&self) -> bool {
        self.realm.rotates()
    }

    async fn sign_in_url(&self, request: &SignInRequest) -> Result<Url, UpstreamError> {
        let discovered = self.discovered().await?;
        let mut url = discovered.authorization_endpoint.clone();
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.registration.client_id)
            .append_pair("redirect_uri", &self.registration.redirect_uri)
            .append_pair("scope", &self.registration.scope)
            .append_pair("state", &request.state)
            .append_pair("nonce", &request.nonce)
            .append_pair("code_challenge", &request.code_challenge.encode())
            .append_pair("code_challenge_method", "S256");
        if let Some(mode) = self.realm.response_mode() {
            query.append_pair("response_mode", mode);
        }
        if request.reauthenticate {
            query.append_pair("prompt", "login");
        }
        if let Some(seconds) = request.max_age {
            query.append_pair("max_age", &seconds.to_string());
        }
        if let Some(hint) = &request.login_hint {
            query.append_pair("login_hint", hint);
        }
        drop(query);
        Ok(url)
    }

    fn explain(&self, error: &str, description: &str) -> UpstreamError {
        of_sign_in(error, description, &self.realm)
    }

    async fn redeem(&self, answer: SignInAnswer, now: Timestamp) -> Result<SignedIn, UpstreamError> {
        let SignInAnswer { code, code_verifier, nonce } = answer;
        let redeemed = Redeemed::Code { code: &code, code_verifier: &code_verifier };
        let answered = self.redeem_with(&redeemed).await?;
        let id_token = answered.tokens.id_token.as_deref().ok_or_else(|| invalid("it sent no ID token"))?;
        let person = self.person(&answered, id_token, Some(&nonce), now).await?;
        Ok(SignedIn { person, refresh_token: answered.tokens.refresh_token() })
    }

    async fn refresh(&self, token: &SecretString, now: Timestamp) -> Result<Refreshed, UpstreamError> {
        let answered = self.redeem_with(&Redeemed::RefreshToken(token)).await?;
        let person = match answered.tokens.id_token.as_deref() {
            Some(id_token) => self.person(&answered, id_token, None, now).await.map(Some),
            None if self.realm.vouches_on_refresh() => Err(invalid("it sent no ID token")),
            None => Ok(None),
        };
        Ok(Refreshed { person, refresh_token: answered.tokens.refresh_token() })
    }

    async fn groups(&self, token: &SecretString) -> Result<Vec<String>, UpstreamError> {
        let root = self.realm.graph().ok_or_else(|| refused("there is no Microsoft Graph"))?;
        let discovered = self.discovered().await?;
        let redeemed = Redeemed::RefreshToken(token);
        // What is said there is about Microsoft Graph, not about the session.
        let tokens = self.tokens(&discovered, &redeemed, &graph::scope(root)).await.map_err(not_groups)?;
        let token = tokens.access_token.into();
        graph::member_objects(&self.http, root, &token, self.realm.admin_consent()).await
    }
}
