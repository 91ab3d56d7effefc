//! The authorization endpoint (RFC 6749 §4.1.1): verify everything, then ask the user.

mod reason;

use std::borrow::Cow;

use crate::domain::allowed::Lacking;
use crate::domain::client::Client;
use crate::domain::login::Browser;
use crate::domain::login::Login;
use crate::domain::login::LoginId;
use crate::domain::login::MAX_STATE_LENGTH;
use crate::domain::resource::Resource;
use crate::domain::trust::Unverified;
use crate::domain::trust::VerifiedRedirect;
use crate::flows::AuthServer;
use crate::flows::admit::check_name;
use crate::flows::ask::Begun;
use crate::flows::refusal::Refusal;
use crate::protocol::client_id_url::ClientIdUrl;
use crate::protocol::parameters::Parameters;
use crate::protocol::parameters::append;
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::redirect_uri;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scopes;

pub use reason::Reason;

/// A refusal and where it may be shown.
#[derive(Clone, Debug)]
pub struct Refused {
    pub reason: Reason,
    pub shown: Shown,
    /// Who asked, once that is known.
    pub client_name: Option<String>,
    /// Where its metadata document would be, if it is not known by one.
    pub document_host: Option<String>,
    pub redirect_host: Option<String>,
}

/// Until the user has acted, an error is redirected only to a host that is trusted by name.
#[derive(Clone, Debug)]
pub enum Shown {
    Page,
    /// A page whose link leads back to the application with the error.
    PageWithLink(String),
    Redirect(String),
}

impl AuthServer {
    /// Verifies an authorization request of `browser`: client, redirect URI; then PKCE, resource,
    /// scope. Writes nothing.
    pub async fn begin(&self, request: &Parameters, browser: Browser) -> Result<Begun, Refused> {
        let client = self.requesting_client(request).await.map_err(|reason| Refused {
            document_host: request.first("client_id").and_then(host_of_document),
            ..Refused::page(reason)
        })?;
        let about = |reason| Refused {
            client_name: Some(client.shown_name().to_owned()),
            redirect_host: request.first("redirect_uri").and_then(RedirectUri::parse).map(|uri| uri.host()),
            ..Refused::page(reason)
        };
        let redirect = self.requested_redirect(&client, request).await.map_err(about)?;
        let login = self
            .requested_login(request, browser, &client, &redirect)
            .map_err(|reason| self.refused_client(reason, &client, &redirect, request.first("state")))?;
        Ok(self.ask(&client, login))
    }

    async fn requesting_client(&self, request: &Parameters) -> Result<Client, Reason> {
        let id = request.one("client_id")?.ok_or(Reason::ClientMissing)?;
        Ok(self.client(id).await?)
    }

    async fn requested_redirect(
        &self,
        client: &Client,
        request: &Parameters,
    ) -> Result<VerifiedRedirect, Reason> {
        let uri = match (request.one("redirect_uri")?, client.redirect_uris.as_slice()) {
            (Some(text), _) if text.len() > redirect_uri::MAX_LENGTH => return Err(Reason::RedirectTooLong),
            (Some(text), _) => RedirectUri::parse(text).ok_or(Reason::RedirectMalformed)?,
            (None, [only]) if !only.is_loopback() => only.clone(),
            (None, _) => return Err(Reason::RedirectMissing),
        };
        let redirect = self.policy().trust.verify(client, uri).map_err(|why| match why {
            Unverified::NotRegistered => Reason::RedirectNotRegistered,
            Unverified::HostNotTrusted => Reason::RedirectHostNotTrusted,
        })?;
        check_name(client, redirect.uri())?;
        self.admit(&client.id, redirect.uri()).await?;
        Ok(redirect)
    }

    fn requested_login(
        &self,
        request: &Parameters,
        browser: Browser,
        client: &Client,
        redirect: &VerifiedRedirect,
    ) -> Result<Login, Reason> {
        request.each_once()?;
        let state = request.one("state")?;
        if state.is_some_and(|state| state.len() > MAX_STATE_LENGTH) {
            return Err(Reason::StateTooLong);
        }
        if request.one("response_type")? != Some("code")
            || request.one("response_mode")?.is_some_and(|mode| mode != "query")
        {
            return Err(Reason::ResponseType);
        }
        let challenge = request.one("code_challenge")?.ok_or(Reason::ChallengeMissing)?;
        if request.one("code_challenge_method")? != Some("S256") {
            return Err(Reason::ChallengeMethod);
        }
        let code_challenge = CodeChallenge::parse(challenge).ok_or(Reason::ChallengeMalformed)?;
        let resource = self.requested_resource(request)?;
        if !resource.allowed.has_client(&client.id, &redirect.uri().host()) {
            return Err(Reason::Lacking(Lacking::Client));
        }
        let asked = request.one("scope")?.map_or_else(|| client.scope.clone(), Scopes::parse);
        let prompts: Vec<&str> = request.one("prompt")?.unwrap_or_default().split(' ').collect();
        if prompts.contains(&"none") {
            return Err(Reason::PromptNone);
        }
        let max_age = request.one("max_age")?.map(str::parse).transpose().map_err(|_| Reason::MaxAge)?;
        Ok(Login {
            id: LoginId(self.random()),
            browser,
            begun_at: self.now(),
            client_id: client.id.clone(),
            redirect_uri: redirect.clone(),
            state: state.map(str::to_owned),
            code_challenge,
            resource: resource.identifier.clone(),
            scopes: permitted(client, resource, &asked).ok_or(Reason::ScopeNotPermitted)?,
            reauthenticate: prompts.contains(&"login"),
            max_age,
            login_hint: request.one("login_hint")?.filter(|hint| is_email_address(hint)).map(str::to_owned),
        })
    }

    /// The resource that is asked for (RFC 8707 §2). The same one repeated is one.
    fn requested_resource(&self, request: &Parameters) -> Result<&Resource, Reason> {
        let mut named = request.all("resource");
        let Some(first) = named.next() else {
            return self.policy().resources.default().ok_or(Reason::ResourceNeeded);
        };
        let resource = self.policy().resources.named(first).ok_or(Reason::Resource)?;
        if named.all(|other| resource.is_named(other)) { Ok(resource) } else { Err(Reason::Resource) }
    }

    fn refused_client(
        &self,
        reason: Reason,
        client: &Client,
        redirect: &VerifiedRedirect,
        state: Option<&str>,
    ) -> Refused {
        // A state that is too long to keep is too long to echo.
        let state = state.filter(|state| state.len() <= MAX_STATE_LENGTH);
        let shown = match self.policy().trust.trusted(client, redirect) {
            Some(trusted) => Shown::Redirect(self.error_redirect(trusted.uri(), state, reason)),
            None => Shown::PageWithLink(self.error_redirect(redirect.uri(), state, reason)),
        };
        let client_name = Some(client.shown_name().to_owned());
        let redirect_host = Some(redirect.uri().host());
        Refused { reason, shown, client_name, document_host: None, redirect_host }
    }

    /// An authorization error response (RFC 6749 §4.1.2.1), with `iss` (RFC 9207 §2).
    pub(in crate::flows) fn error_redirect(
        &self,
        redirect: &RedirectUri,
        state: Option<&str>,
        refusal: impl Refusal,
    ) -> String {
        let error = refusal.oauth();
        let mut parameters: Vec<(&str, Cow<'_, str>)> =
            vec![("error", error.code.as_str().into()), ("error_description", error.description.into())];
        parameters.extend(state.map(|state| ("state", state.into())));
        parameters.push(("iss", self.policy().issuer.as_str().into()));
        append(redirect.as_str(), &parameters)
    }
}

impl Refused {
    fn page(reason: Reason) -> Self {
        Self { reason, shown: Shown::Page, client_name: None, document_host: None, redirect_host: None }
    }
}

/// What a request for `asked` gets of a resource, of what the client may have; `None` when that is nothing.
fn permitted(client: &Client, resource: &Resource, asked: &Scopes) -> Option<Scopes> {
    let granted = client.permitted(&resource.grantable(asked));
    let granted = if granted.is_empty() { client.permitted(&resource.all_scopes()) } else { granted };
    (!granted.is_empty()).then_some(granted)
}

fn host_of_document(client_id: &str) -> Option<String> {
    ClientIdUrl::parse(client_id).map(|address| address.host().to_owned())
}

/// Whether a hint is an address and nothing else: it is the one text of the client's that the identity
/// provider will see.
fn is_email_address(hint: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._%+-#'".contains(c);
    let Some((name, host)) = hint.split_once('@') else { return false };
    hint.len() <= 254
        && !name.is_empty()
        && name.chars().all(plain)
        && host.contains('.')
        && host.split('.').all(|label| !label.is_empty())
        && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
}
