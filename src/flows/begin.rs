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
use crate::domain::vendor::claims_the_name_of_another;
use crate::flows::AuthServer;
use crate::flows::admit::NotAdmitted;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::flows::refusal::row_of_registration;
use crate::protocol::error::ErrorCode;
use crate::protocol::parameters::Duplicated;
use crate::protocol::parameters::Parameters;
use crate::protocol::parameters::append;
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::redirect_uri;
use crate::protocol::redirect_uri::Receiver;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scopes;

/// Why an authorization request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    ClientMissing,
    Client(NotAdmitted),
    NameOfAnother,
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
    ScopeNotPermitted,
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
            Self::Client(why) => why.row(),
            Self::NameOfAnother => row(
                "name_of_another",
                ErrorCode::InvalidClient,
                "The application uses the name of a known one, and the access would go to another host. If it is yours, give it another name; whoever runs the server can vouch for it by adding it to the configuration.",
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
                "redirect_uri is not an https URI, an http URI on this computer, or a URI of a private-use scheme, in its plain form.",
            ),
            Self::RedirectNotRegistered => row_of_registration(
                "redirect_not_registered",
                InvalidRequest,
                "The application did not register this redirect_uri. Remove the registration that it has stored for this server, then connect again.",
            ),
            Self::RedirectHostNotTrusted => row(
                "redirect_host_not_trusted",
                InvalidRequest,
                "This server does not send sign-ins to the application's host. Send this page to whoever runs the server, who can add the host to the setting trust.hosts, or set trust.open to allow any.",
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
            Self::ScopeNotPermitted => row(
                "scope_not_permitted",
                ErrorCode::InvalidScope,
                "The application may have none of the permissions of this MCP server. Whoever runs the server can change its scopes there.",
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
    /// What the client is called.
    pub client_name: String,
    /// Whether the operator says so; if not, it calls itself that.
    pub vouched_for: bool,
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
    /// scope. Writes nothing.
    pub async fn begin(&self, request: &Parameters, browser: Browser) -> Result<Begun, Refused> {
        let client = self.requesting_client(request).await.map_err(Refused::page)?;
        let about = |reason| Refused {
            client_name: Some(client.shown_name().to_owned()),
            redirect_host: request.first("redirect_uri").and_then(RedirectUri::parse).map(|uri| uri.host()),
            ..Refused::page(reason)
        };
        let redirect = self.requested_redirect(&client, request).await.map_err(about)?;
        let login = self
            .requested_login(request, browser, &client, &redirect)
            .map_err(|reason| self.refused_client(reason, &client, &redirect, request.first("state")))?;
        self.record(EventName::ConsentShown, consent_event(&login));
        Ok(self.ask(&client, login))
    }

    /// Seals a login into what the user is asked.
    pub(in crate::flows) fn ask(&self, client: &Client, login: Login) -> Begun {
        let consent = self.consent_for(client, &login);
        Begun { login: Sealed::compact(self.keys(), Purpose::Login, self.random(), &login), consent }
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
        if !client.is_configured() && claims_the_name_of_another(&client.name, redirect.uri()) {
            return Err(Reason::NameOfAnother);
        }
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

    fn consent_for(&self, client: &Client, login: &Login) -> Consent {
        let resource = self.policy().resources.by_identifier(&login.resource);
        let redirect = login.redirect_uri.uri();
        let meaning = |scope: &str| {
            let scopes = resource.map(|resource| resource.scopes.as_slice()).unwrap_or_default();
            scopes.iter().find(|(name, _)| name == scope).map(|(_, words)| words.clone()).unwrap_or_default()
        };
        Consent {
            client_name: client.shown_name().to_owned(),
            vouched_for: client.is_configured(),
            redirect_host: match (redirect.receiver(), redirect.port()) {
                // An application does other things at other addresses of its scheme.
                (Receiver::PrivateUse, _) => redirect.to_string(),
                (Receiver::Web, Some(port)) => format!("{}:{port}", redirect.host()),
                (Receiver::Web | Receiver::Loopback, _) => redirect.host(),
            },
            redirect_path: redirect.target(),
            this_machine: redirect.is_on_this_machine(),
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
        let shown = match self.policy().trust.trusted(client, redirect) {
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

impl From<NotAdmitted> for Reason {
    fn from(why: NotAdmitted) -> Self {
        Self::Client(why)
    }
}

/// What a request for `asked` gets of a resource, of what the client may have; `None` when that is nothing.
fn permitted(client: &Client, resource: &Resource, asked: &Scopes) -> Option<Scopes> {
    let granted = client.permitted(&resource.grantable(asked));
    let granted = if granted.is_empty() { client.permitted(&resource.all_scopes()) } else { granted };
    (!granted.is_empty()).then_some(granted)
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
