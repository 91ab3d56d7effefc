//! The authorization endpoint (RFC 6749 §4.1.1): verify everything, then ask the user.

use std::borrow::Cow;

use crate::domain::client::Client;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::keys::Purpose;
use crate::domain::login::Browser;
use crate::domain::login::Login;
use crate::domain::login::LoginId;
use crate::domain::login::MAX_STATE_LENGTH;
use crate::domain::resource::Resource;
use crate::domain::seal::Sealed;
use crate::domain::trust::Unverified;
use crate::domain::trust::VerifiedRedirect;
use crate::flows::AuthServer;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::protocol::error::ErrorCode;
use crate::protocol::parameters::Duplicated;
use crate::protocol::parameters::Parameters;
use crate::protocol::parameters::append;
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::redirect_uri;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scopes;

/// Why an authorization request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    ClientMissing,
    ClientUnknown,
    RedirectMissing,
    RedirectTooLong,
    RedirectMalformed,
    RedirectNotRegistered,
    RedirectHostNotTrusted,
    Duplicated,
    StateTooLong,
    ResponseType,
    ChallengeMissing,
    ChallengeMethod,
    ChallengeMalformed,
    Resource,
    ResourceNeeded,
    PromptNone,
    MaxAge,
}

impl Refusal for Reason {
    fn row(self) -> Row {
        use ErrorCode::InvalidRequest;
        use ErrorCode::InvalidTarget;
        match self {
            Self::ClientMissing => row(
                "client_missing",
                InvalidRequest,
                "The request has no client_id. Start again from your application.",
            ),
            Self::ClientUnknown => row(
                "client_unknown",
                ErrorCode::InvalidClient,
                "This server does not know the application's client_id. Remove the application's stored registration for this server, then connect again.",
            ),
            Self::RedirectMissing => row(
                "redirect_missing",
                InvalidRequest,
                "The request has no redirect_uri, and the application registered more than one.",
            ),
            Self::RedirectTooLong => {
                row("redirect_too_long", InvalidRequest, "redirect_uri is longer than 512 characters.")
            }
            Self::RedirectMalformed => row(
                "redirect_malformed",
                InvalidRequest,
                "redirect_uri is not an https URI, or an http URI on this computer, in its plain form.",
            ),
            Self::RedirectNotRegistered => row(
                "redirect_not_registered",
                InvalidRequest,
                "The application did not register this redirect_uri. Remove its stored registration for this server, then connect again.",
            ),
            Self::RedirectHostNotTrusted => row(
                "redirect_host_not_trusted",
                InvalidRequest,
                "This server does not send sign-ins to the application's host. Whoever runs the server can add the host to the setting trust.hosts, or set trust.open to allow any.",
            ),
            Self::Duplicated => {
                row("parameter_duplicated", InvalidRequest, "A parameter is given more than once.")
            }
            Self::StateTooLong => {
                row("state_too_long", InvalidRequest, "state is longer than 1024 characters.")
            }
            Self::ResponseType => row(
                "response_type_unsupported",
                ErrorCode::UnsupportedResponseType,
                "response_type must be code, and response_mode query.",
            ),
            Self::ChallengeMissing => {
                row("challenge_missing", InvalidRequest, "code_challenge is required (PKCE, RFC 7636).")
            }
            Self::ChallengeMethod => {
                row("challenge_method", InvalidRequest, "code_challenge_method must be S256.")
            }
            Self::ChallengeMalformed => row(
                "challenge_malformed",
                InvalidRequest,
                "code_challenge must be the base64url of a SHA-256 hash: 43 characters.",
            ),
            Self::Resource => row(
                "resource_unknown",
                InvalidTarget,
                "resource names no MCP server here; it must be exactly the URL that the protected-resource metadata give.",
            ),
            Self::ResourceNeeded => row(
                "resource_needed",
                InvalidTarget,
                "There is more than one MCP server here and none is the default: send resource.",
            ),
            Self::PromptNone => row(
                "prompt_none",
                ErrorCode::ConsentRequired,
                "Consent is asked for on every authorization: prompt=none cannot succeed.",
            ),
            Self::MaxAge => row("max_age", InvalidRequest, "max_age must be a number of seconds."),
        }
    }
}

/// A refusal and where it may be shown.
#[derive(Clone, Debug)]
pub struct Refused {
    pub reason: Reason,
    pub shown: Shown,
    /// Who asked, once that is known.
    pub client_name: Option<String>,
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

/// A request that waits for the user's decision.
pub struct Begun {
    /// The login, for the consent form.
    pub login: Sealed<Login>,
    pub consent: Consent,
}

/// What the user is asked.
#[derive(Clone, Debug)]
pub struct Consent {
    /// What the client calls itself; nobody vouches for it.
    pub client_name: String,
    /// Who will receive the code.
    pub redirect_host: String,
    pub redirect_path: String,
    /// Whether that is a program on the machine of whoever reads this.
    pub this_machine: bool,
    pub resource_name: String,
    pub resource: String,
    /// Each scope with its meaning in words.
    pub scopes: Vec<(String, String)>,
}

impl AuthServer {
    /// Verifies an authorization request of `browser`: client, redirect URI; then PKCE, resource,
    /// scope. Writes nothing and reads nothing.
    pub fn begin(&self, request: &Parameters, browser: Browser) -> Result<Begun, Refused> {
        let client = self.requesting_client(request).map_err(Refused::page)?;
        let redirect = self.requested_redirect(&client, request).map_err(|reason| Refused {
            client_name: Some(client.shown_name().to_owned()),
            redirect_host: request.first("redirect_uri").and_then(RedirectUri::parse).map(|uri| uri.host()),
            ..Refused::page(reason)
        })?;
        let login = self
            .requested_login(request, browser, &client, &redirect)
            .map_err(|reason| self.refused_client(reason, &client, &redirect, request.first("state")))?;
        let consent = self.consent_for(&client, &redirect, &login);
        self.record(EventName::ConsentShown, consent_event(&login));
        Ok(Begun { login: Sealed::compact(self.keys(), Purpose::Login, self.random(), &login), consent })
    }

    fn requesting_client(&self, request: &Parameters) -> Result<Client, Reason> {
        let id = request.one("client_id")?.ok_or(Reason::ClientMissing)?;
        self.client(id).map_err(|_| Reason::ClientUnknown)
    }

    fn requested_redirect(&self, client: &Client, request: &Parameters) -> Result<VerifiedRedirect, Reason> {
        let uri = match (request.one("redirect_uri")?, client.redirect_uris.as_slice()) {
            (Some(text), _) if text.len() > redirect_uri::MAX_LENGTH => return Err(Reason::RedirectTooLong),
            (Some(text), _) => RedirectUri::parse(text).ok_or(Reason::RedirectMalformed)?,
            (None, [only]) if !only.is_loopback() => only.clone(),
            (None, _) => return Err(Reason::RedirectMissing),
        };
        self.policy().trust.verify(client, uri).map_err(|why| match why {
            Unverified::NotRegistered => Reason::RedirectNotRegistered,
            Unverified::HostNotTrusted => Reason::RedirectHostNotTrusted,
        })
    }

    fn requested_login(
        &self,
        request: &Parameters,
        browser: Browser,
        client: &Client,
        redirect: &VerifiedRedirect,
    ) -> Result<Login, Reason> {
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
            scopes: resource.grantable(&asked),
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
        if named.any(|other| other != first) {
            return Err(Reason::Resource);
        }
        self.policy().resources.by_identifier(first).ok_or(Reason::Resource)
    }

    fn consent_for(&self, client: &Client, redirect: &VerifiedRedirect, login: &Login) -> Consent {
        let resource = self.policy().resources.by_identifier(&login.resource);
        let meaning = |scope: &str| {
            let scopes = resource.map(|resource| resource.scopes.as_slice()).unwrap_or_default();
            scopes.iter().find(|(name, _)| name == scope).map(|(_, words)| words.clone()).unwrap_or_default()
        };
        Consent {
            client_name: client.shown_name().to_owned(),
            redirect_host: match redirect.uri().port() {
                Some(port) if !redirect.uri().is_loopback() => format!("{}:{port}", redirect.uri().host()),
                _ => redirect.uri().host(),
            },
            redirect_path: redirect.uri().target(),
            this_machine: redirect.uri().is_on_this_machine(),
            resource_name: resource.map(|resource| resource.name.clone()).unwrap_or_default(),
            resource: login.resource.clone(),
            scopes: login.scopes.iter().map(|scope| (scope.to_owned(), meaning(scope))).collect(),
        }
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
        let shown = match self.policy().trust.trusted(redirect) {
            Some(trusted) => Shown::Redirect(self.error_redirect(trusted.uri(), state, reason)),
            None => Shown::PageWithLink(self.error_redirect(redirect.uri(), state, reason)),
        };
        let client_name = Some(client.shown_name().to_owned());
        Refused { reason, shown, client_name, redirect_host: Some(redirect.uri().host()) }
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
        Self { reason, shown: Shown::Page, client_name: None, redirect_host: None }
    }
}

impl From<Duplicated> for Reason {
    fn from(_: Duplicated) -> Self {
        Self::Duplicated
    }
}

/// What is recorded of a login, by ids.
pub(in crate::flows) fn consent_event(login: &Login) -> Event {
    Event {
        client: Some(login.client_id.digest()),
        redirect_host: Some(login.redirect_uri.uri().host()),
        resource: Some(login.resource.clone()),
        scope: Some(login.scopes.to_string()),
        ..Event::default()
    }
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
