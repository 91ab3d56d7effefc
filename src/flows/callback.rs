//! The user comes back from the identity provider: validate, write the one grant, send the code.

use std::borrow::Cow;
use std::time::Duration;

use secrecy::SecretString;

use crate::domain::allowed::Lacking;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::grant::Grant;
use crate::domain::grant::GrantBody;
use crate::domain::grant::Phase;
use crate::domain::grant::UpstreamToken;
use crate::domain::keys::Purpose;
use crate::domain::login::Approved;
use crate::domain::login::Browser;
use crate::domain::login::EndedLogins;
use crate::domain::login::Login;
use crate::domain::person::Person;
use crate::domain::reference::Kind;
use crate::domain::reference::Reference;
use crate::domain::seal::Sealed;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::admit::NotAdmitted;
use crate::flows::grants::GrantError;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::ports::idp::SignInAnswer;
use crate::ports::idp::SignedIn;
use crate::ports::idp::UpstreamError;
use crate::ports::idp::UpstreamReason;
use crate::protocol::error::ErrorCode;
use crate::protocol::parameters::Duplicated;
use crate::protocol::parameters::Parameters;
use crate::protocol::parameters::append;

/// Clocks differ: `auth_time` may be this much older than `max_age` allows.
const AUTH_TIME_SKEW: i64 = 120;

/// Why a callback comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Malformed,
    NotThisBrowser,
    Expired,
    Ended,
    UpstreamUnreadable,
    Declined,
    UpstreamDenied,
    UpstreamError,
    UpstreamAway,
    UpstreamRefuses,
    NotVouchedFor,
    AnotherTenant,
    AuthTimeMissing,
    TooLongAgo,
    Client(NotAdmitted),
    Lacking(Lacking),
    StoreAway,
    AlreadyUsed,
}

impl Refusal for Reason {
    fn row(self) -> Row {
        use ErrorCode::AccessDenied;
        use ErrorCode::InvalidRequest;
        use ErrorCode::ServerError;
        use ErrorCode::TemporarilyUnavailable;
        match self {
            Self::Malformed => row(
                "callback_malformed",
                InvalidRequest,
                "This address is for answers of the sign-in service, and this is none. Start again from your application.",
            ),
            Self::NotThisBrowser => row(
                "callback_of_another_browser",
                AccessDenied,
                "This browser did not begin this sign-in, or has finished it already. Start again from your application.",
            ),
            Self::Expired => row(
                "login_expired",
                InvalidRequest,
                "This sign-in took too long. Start again from your application.",
            ),
            Self::Ended => row(
                "login_ended",
                AccessDenied,
                "This sign-in was declined. Start again from your application to change your mind.",
            ),
            Self::UpstreamUnreadable => row(
                "upstream_unreadable",
                ServerError,
                "The sign-in service sent an answer that cannot be read. Start again from your application.",
            ),
            Self::Declined => {
                row("upstream_declined", AccessDenied, "The user declined at the sign-in service.")
            }
            Self::UpstreamDenied => row(
                "upstream_denied",
                AccessDenied,
                "The sign-in service does not let this account in. Sign in with another one, or ask an administrator of your organization.",
            ),
            Self::UpstreamError => row(
                "upstream_error",
                AccessDenied,
                "The sign-in service did not sign the user in. Start again, or ask whoever runs the server.",
            ),
            Self::UpstreamAway => row(
                "upstream_away",
                TemporarilyUnavailable,
                "The sign-in service does not answer at the moment. Try again in a minute.",
            ),
            Self::UpstreamRefuses => row(
                "upstream_refused",
                ServerError,
                "The sign-in service is not set up for this server. Whoever runs the server finds the reason in its log.",
            ),
            Self::NotVouchedFor => row(
                "not_vouched_for",
                ServerError,
                "The sign-in service's answer could not be verified. Start again; if it stays so, whoever runs the server finds the reason in its log.",
            ),
            Self::AnotherTenant => row(
                "another_tenant",
                AccessDenied,
                "This account belongs to another organization than this server serves. Sign in with another account.",
            ),
            Self::AuthTimeMissing => row(
                "auth_time_missing",
                ServerError,
                "The application asked for a fresh sign-in, and the sign-in service does not say when the user signed in. Whoever runs the server has to add the claim auth_time there.",
            ),
            Self::TooLongAgo => row(
                "auth_time_too_old",
                AccessDenied,
                "The application asked for a fresh sign-in, and the sign-in service did not ask again. Start again.",
            ),
            Self::Client(why) => why.row(),
            Self::Lacking(what) => what.row(),
            Self::StoreAway => row(
                "store_away",
                TemporarilyUnavailable,
                "The server cannot remember sign-ins at the moment. Try again in a minute.",
            ),
            Self::AlreadyUsed => row(
                "login_already_used",
                InvalidRequest,
                "This sign-in is complete already. Go back to your application, or start again from there.",
            ),
        }
    }
}

/// A refusal, and the way back to the client once we know that the login is this browser's.
#[derive(Debug)]
pub struct Refused {
    pub reason: Reason,
    /// The client's redirect URI with the error.
    pub back: Option<String>,
    /// The user decided: no page is needed.
    pub at_once: bool,
    /// What the identity provider named. For the person alone: to the client goes the reason's sentence,
    /// since what keeps somebody out of their tenant is none of the application's business.
    pub upstream: Option<UpstreamReason>,
}

/// The identity provider's answer (RFC 6749 §4.1.2, §4.1.2.1).
enum Answered<'a> {
    Code(&'a str),
    Error { error: &'a str, description: &'a str },
}

/// What the browser holds.
pub struct Held<'a> {
    pub browser: Option<&'a str>,
    /// The approved login that it keeps under the `state` of this answer.
    pub approved: Option<&'a str>,
    /// Logins that were declined in this browser.
    pub ended: EndedLogins,
}

impl AuthServer {
    /// Completes a sign-in. Returns where to send the browser: the client's redirect URI with `code`,
    /// `state` and `iss` (RFC 6749 §4.1.2, RFC 9207 §2).
    pub async fn callback(&self, answer: &Parameters, held: Held<'_>) -> Result<String, Refused> {
        let Approved { login, upstream, .. } = self.approved_login(answer, &held).map_err(Refused::page)?;
        let refused = |reason| self.refused_login(reason, &login);
        let code = match answered(answer).map_err(refused)? {
            Answered::Code(code) => SecretString::from(code),
            Answered::Error { error, description } => {
                let error = self.idp().explain(error, description);
                return Err(self.not_signed_in("sign_in", &error, &login));
            }
        };
        let code_verifier = SecretString::from(upstream.code_verifier());
        let question = SignInAnswer { code, code_verifier, nonce: upstream.nonce() };
        let now = self.now();
        let redeemed = self.idp().redeem(question, now).await;
        let signed_in = redeemed.map_err(|error| self.not_signed_in("redeem", &error, &login))?;
        check_auth_time(&login, &signed_in, now).map_err(refused)?;
        let SignedIn { person, refresh_token } = signed_in;
        let groups = self.groups_of(&person, &login.resource, refresh_token.as_ref(), Duration::ZERO).await;
        let (groups, _) = groups.map_err(|error| self.groups_unknown(&error, &login))?;
        let signed_in = SignedIn { person: Person { groups, ..person }, refresh_token };
        let grant = self.grant_of(&login, signed_in, now).await.map_err(refused)?;
        self.record(EventName::SignInCompleted, signed_in_event(&grant));
        self.remember_client(&grant, now).await;
        self.code_redirect(&login, &grant).map_err(refused)
    }

    fn approved_login(&self, answer: &Parameters, held: &Held<'_>) -> Result<Approved, Reason> {
        let state = answer.one("state")?.ok_or(Reason::Malformed)?;
        let sealed: Sealed<Approved> = Sealed::from_text(held.approved.ok_or(Reason::NotThisBrowser)?);
        let approved =
            sealed.open_compact(&self.keys(), Purpose::Approved).map_err(|_| Reason::NotThisBrowser)?;
        if approved.upstream.state() != state || held.browser.map(Browser::of) != Some(approved.login.browser)
        {
            return Err(Reason::NotThisBrowser);
        }
        if held.ended.contains(approved.login.id) {
            return Err(Reason::Ended);
        }
        if self.now() >= approved.login.begun_at.plus(self.policy().lifetimes.login) {
            return Err(Reason::Expired);
        }
        Ok(approved)
    }

    fn not_signed_in(&self, call: &'static str, error: &UpstreamError, login: &Login) -> Refused {
        self.record_upstream(call, error);
        let reason = match error {
            UpstreamError::Declined(_) => Reason::Declined,
            UpstreamError::Denied(_) => Reason::UpstreamDenied,
            UpstreamError::Ended(_) => Reason::UpstreamError,
            UpstreamError::SomebodyElse(_) => Reason::AnotherTenant,
            UpstreamError::Guest(_) => Reason::Lacking(Lacking::Member),
            UpstreamError::GuestUnknown(_) => Reason::Lacking(Lacking::MemberUnknown),
            UpstreamError::Invalid(_) => Reason::NotVouchedFor,
            UpstreamError::Refused(_) => Reason::UpstreamRefuses,
            UpstreamError::Away(_) => Reason::UpstreamAway,
        };
        Refused { upstream: Some(error.reason().clone()), ..self.refused_login(reason, login) }
    }

    /// Nobody can tell whether the person is in one of the groups that are let in. What mends it is about the groups.
    fn groups_unknown(&self, error: &UpstreamError, login: &Login) -> Refused {
        if matches!(error, UpstreamError::Away(_)) {
            return self.not_signed_in("groups", error, login);
        }
        self.record_upstream("groups", error);
        let refused = self.refused_login(Reason::Lacking(Lacking::GroupsUnknown), login);
        Refused { upstream: Some(error.reason().clone()), ..refused }
    }

    /// The one grant of this login: created only if absent, so that a repeated callback finds the first.
    async fn grant_of(&self, login: &Login, signed_in: SignedIn, now: Timestamp) -> Result<Grant, Reason> {
        let client = self.client_of(login).await?;
        self.note_use(&client).await;
        let allowed = self.allow(&login.resource, &signed_in.person, &client.id, login.redirect_uri.uri());
        allowed.map_err(Reason::Lacking)?;
        let upstream = signed_in.refresh_token.map(UpstreamToken);
        let body = GrantBody {
            client_id: client.id,
            client_name: client.name,
            auth_method: client.auth_method,
            assertions: Vec::new(),
            redirect_uri: login.redirect_uri.uri().clone(),
            code_challenge: login.code_challenge,
            resource: login.resource.clone(),
            scopes: login.scopes.clone(),
            person: signed_in.person,
            generation: self.keys().current(),
            created_at: now,
            redeemed_at: None,
            swapped_at: now,
            upstream,
            vouched_at: now,
            lease: None,
        };
        let grant = Grant::pending(login.id, &self.policy().lifetimes, body);
        match self.create_grant(&grant).await {
            Ok(()) => Ok(grant),
            Err(GrantError::Conflict) => {
                let first = self.load_grant(grant.user, grant.id).await.map_err(|_| Reason::StoreAway)?;
                first
                    .map(|loaded| loaded.grant)
                    .filter(|grant| grant.phase == Phase::Pending)
                    .ok_or(Reason::AlreadyUsed)
            }
            Err(GrantError::Away) => Err(Reason::StoreAway),
        }
    }

    fn code_redirect(&self, login: &Login, grant: &Grant) -> Result<String, Reason> {
        let generation = grant.body.generation;
        let reference = Reference { user: grant.user, grant: grant.id, n: 0, generation };
        // Fails only if the key was dropped between two replicas' callbacks.
        let code = reference.issue(&self.keys(), Kind::Code).map_err(|_| Reason::AlreadyUsed)?;
        let mut parameters: Vec<(&str, Cow<'_, str>)> = vec![("code", code.into())];
        parameters.extend(login.state.as_deref().map(|state| ("state", state.into())));
        parameters.push(("iss", self.policy().issuer.as_str().into()));
        Ok(append(login.redirect_uri.uri().as_str(), &parameters))
    }

    fn refused_login(&self, reason: Reason, login: &Login) -> Refused {
        // Where no code may go any more, no browser is sent either.
        let gone = matches!(reason, Reason::Client(why) if why != NotAdmitted::StoreAway);
        let back = self.error_redirect(login.redirect_uri.uri(), login.state.as_deref(), reason);
        Refused { reason, back: (!gone).then_some(back), at_once: reason == Reason::Declined, upstream: None }
    }
}

impl Refused {
    fn page(reason: Reason) -> Self {
        Self { reason, back: None, at_once: false, upstream: None }
    }
}

impl From<Duplicated> for Reason {
    fn from(_: Duplicated) -> Self {
        Self::Malformed
    }
}

impl From<NotAdmitted> for Reason {
    fn from(why: NotAdmitted) -> Self {
        Self::Client(why)
    }
}

/// An error counts before a code that comes with it.
fn answered(answer: &Parameters) -> Result<Answered<'_>, Reason> {
    let one = |name| answer.one(name).map_err(|_| Reason::UpstreamUnreadable);
    match (one("error")?, one("code")?) {
        (Some(error), _) => {
            Ok(Answered::Error { error, description: one("error_description")?.unwrap_or_default() })
        }
        (None, Some(code)) => Ok(Answered::Code(code)),
        (None, None) => Err(Reason::UpstreamUnreadable),
    }
}

/// `prompt=login` and `max_age` are promises to the client: the provider's `auth_time` has to keep them.
fn check_auth_time(login: &Login, signed_in: &SignedIn, now: Timestamp) -> Result<(), Reason> {
    let oldest = match (login.reauthenticate, login.max_age) {
        (true, _) => login.begun_at,
        (false, Some(max_age)) => Timestamp(now.0 - i64::from(max_age)),
        (false, None) => return Ok(()),
    };
    let at = signed_in.person.auth_time.ok_or(Reason::AuthTimeMissing)?;
    (at.0.saturating_add(AUTH_TIME_SKEW) >= oldest.0).then_some(()).ok_or(Reason::TooLongAgo)
}

fn signed_in_event(grant: &Grant) -> Event {
    Event { redirect_host: Some(grant.body.redirect_uri.host()), ..grant.event() }
}
