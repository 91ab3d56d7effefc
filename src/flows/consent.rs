//! The user decides. Approving seals the login anew, for the way to the identity provider and back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use crate::domain::event::EventName;
use crate::domain::keys::Purpose;
use crate::domain::login::Approved;
use crate::domain::login::Browser;
use crate::domain::login::EndedLogins;
use crate::domain::login::Login;
use crate::domain::login::UpstreamSecrets;
use crate::domain::seal::Sealed;
use crate::flows::AuthServer;
use crate::flows::admit::NotAdmitted;
use crate::flows::ask::Begun;
use crate::flows::ask::consent_event;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::ports::idp::SignInRequest;
use crate::ports::idp::UpstreamError;
use crate::protocol::error::ErrorCode;
use crate::protocol::pkce::CodeChallenge;

/// A cookie over 4,096 bytes vanishes without a word; name and attributes count.
const MAX_COOKIE_VALUE: usize = 3_900;

/// Approved logins that a browser may hold at a time.
pub const MAX_APPROVED: usize = 4;

/// Bytes of approved logins that a browser may hold: with their names and the other cookies of ours, less than
/// 6 KB of header, since proxies refuse headers of 8 KB. Four of any real client take about 4 KB.
pub const MAX_APPROVED_BYTES: usize = 5_500;

/// Why a decision is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    NotALogin,
    AnotherBrowser,
    AnotherSite,
    Expired,
    Ended,
    NoDecision,
    TooLarge,
    Client(NotAdmitted),
    UpstreamAway,
    UpstreamRefuses,
}

impl Refusal for Reason {
    fn row(self) -> Row {
        use ErrorCode::InvalidRequest;
        match self {
            Self::NotALogin => row(
                "login_unreadable",
                InvalidRequest,
                "This form is not one that this server made, or it is too old. Start again from your application.",
            ),
            Self::AnotherBrowser => row(
                "login_of_another_browser",
                ErrorCode::AccessDenied,
                "This sign-in was begun in another browser, or this browser keeps no cookies for this server. Start again from your application, in the browser that it opens.",
            ),
            Self::AnotherSite => row(
                "consent_from_another_site",
                ErrorCode::AccessDenied,
                "The decision was sent by another website. Start again from your application.",
            ),
            Self::Expired => row(
                "login_expired",
                InvalidRequest,
                "This sign-in waited too long. Start again from your application.",
            ),
            Self::Ended => row(
                "login_ended",
                InvalidRequest,
                "This sign-in was declined. Start again from your application to change your mind.",
            ),
            Self::NoDecision => row(
                "no_decision",
                InvalidRequest,
                "The form says neither approve nor deny. Start again from your application.",
            ),
            Self::TooLarge => row(
                "login_too_large",
                InvalidRequest,
                "The application's request is too long for a cookie. Its state or redirect_uri has to be shorter.",
            ),
            Self::Client(why) => why.row(),
            Self::UpstreamAway => row(
                "upstream_away",
                ErrorCode::TemporarilyUnavailable,
                "The sign-in service does not answer at the moment. Try again in a minute.",
            ),
            Self::UpstreamRefuses => row(
                "upstream_refused",
                ErrorCode::ServerError,
                "The sign-in service is not set up for this server. Whoever runs the server finds the reason in its log.",
            ),
        }
    }
}

/// What the consent form says.
pub struct Submitted<'a> {
    pub login: &'a str,
    pub decision: Option<&'a str>,
    /// The cookie of the browser that sends it; a new one where it had none.
    pub browser: &'a str,
    /// The user was asked once more already.
    pub asked_again: bool,
    /// The approved logins that it holds, by slot.
    pub approved: Vec<(usize, String)>,
    /// Logins that were declined in this browser.
    pub ended: EndedLogins,
    /// Whether the browser says that the form was on another site.
    pub cross_site: bool,
}

/// What came of it.
pub enum Decided {
    /// Send the browser to the identity provider, keep the sealed login in this slot, and empty the others.
    Approved { sign_in: Url, slot: usize, login: Sealed<Approved>, emptied: Vec<usize> },
    /// The form was made for another cookie of this browser: ask once more.
    AskAgain(Begun),
    /// Send the browser back to the client.
    Denied { back: String, ended: EndedLogins },
}

/// The user declined (RFC 6749 §4.1.2.1).
#[derive(Clone, Copy)]
struct Declined;

impl Refusal for Declined {
    fn row(self) -> Row {
        row("declined", ErrorCode::AccessDenied, "The user declined.")
    }
}

impl AuthServer {
    /// A name for a browser that has none yet: 32 random bytes.
    #[must_use]
    pub fn new_browser(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.random::<32>())
    }

    /// Takes the user's decision on a login of their own browser.
    pub async fn consent(&self, form: Submitted<'_>) -> Result<Decided, Reason> {
        if form.cross_site {
            return Err(Reason::AnotherSite);
        }
        let sealed: Sealed<Login> = Sealed::from_text(form.login);
        let login = sealed.open_compact(&self.keys(), Purpose::Login).map_err(|_| Reason::NotALogin)?;
        if self.now() >= login.begun_at.plus(self.policy().lifetimes.login) {
            return Err(Reason::Expired);
        }
        let browser = Browser::of(form.browser);
        if browser != login.browser {
            return self.ask_again(login, browser, form.asked_again).await;
        }
        if form.ended.contains(login.id) {
            return Err(Reason::Ended);
        }
        match form.decision {
            Some("approve") => self.approve(login, &form.approved).await,
            Some("deny") => self.deny(&login, form.ended).await,
            _ => Err(Reason::NoDecision),
        }
    }

    /// A page that was fetched ahead of the visit, or cookies that were cleared, leave a form with another cookie
    /// than the browser has. Nothing is decided by it. The same question, asked of this browser, is no more than
    /// what a link to /authorize would do; a browser that keeps no cookie at all is told so the second time.
    async fn ask_again(&self, login: Login, browser: Browser, asked_again: bool) -> Result<Decided, Reason> {
        if asked_again {
            return Err(Reason::AnotherBrowser);
        }
        let client = self.client_of(&login).await?;
        let login = Login { browser, ..login };
        Ok(Decided::AskAgain(self.ask(&client, login)))
    }

    async fn approve(&self, login: Login, held: &[(usize, String)]) -> Result<Decided, Reason> {
        let client = self.client_of(&login).await?;
        let upstream =
            UpstreamSecrets { state: self.random(), nonce: self.random(), code_verifier: self.random() };
        let request = SignInRequest {
            state: upstream.state(),
            nonce: upstream.nonce(),
            code_challenge: CodeChallenge::of(&upstream.code_verifier()),
            login_hint: login.login_hint.clone(),
            reauthenticate: login.reauthenticate,
            max_age: login.max_age,
        };
        let sign_in = self.idp().sign_in_url(&request).await.map_err(|error| self.refused_sign_in(&error))?;
        let event = consent_event(&client, &login);
        let seal = |turn| {
            let approved = Approved { login: login.clone(), turn, upstream: upstream.clone() };
            Sealed::compact(&self.keys(), Purpose::Approved, self.random(), &approved)
        };
        // The number of a turn takes five bytes at most, whichever it is.
        let size = seal(u32::MAX).to_text().len();
        if size > MAX_COOKIE_VALUE {
            return Err(Reason::TooLarge);
        }
        let Slots { turn, slot, emptied } = self.place(held, size);
        self.record(EventName::ConsentApproved, event);
        Ok(Decided::Approved { sign_in, slot, login: seal(turn), emptied })
    }

    async fn deny(&self, login: &Login, mut ended: EndedLogins) -> Result<Decided, Reason> {
        // Where no code may go any more, no browser is sent either.
        let client = self.client_of(login).await?;
        ended.add(login.id);
        self.record(EventName::ConsentDenied, consent_event(&client, login));
        let back = self.error_redirect(login.redirect_uri.uri(), login.state.as_deref(), Declined);
        Ok(Decided::Denied { back, ended })
    }

    fn refused_sign_in(&self, error: &UpstreamError) -> Reason {
        self.record_upstream("sign_in_url", error);
        match error {
            UpstreamError::Away(_) => Reason::UpstreamAway,
            _ => Reason::UpstreamRefuses,
        }
    }

    /// The approved login that a browser holds under the `state` of the provider's answer, and its slot.
    #[must_use]
    pub fn held_under<'a>(&self, state: &str, held: &'a [(usize, String)]) -> Option<&'a (usize, String)> {
        held.iter().find(|(_, text)| self.approved(text).is_some_and(|login| login.upstream.state() == state))
    }

    fn approved(&self, text: &str) -> Option<Approved> {
        let sealed: Sealed<Approved> = Sealed::from_text(text);
        sealed.open_compact(&self.keys(), Purpose::Approved).ok()
    }

    /// Which slot of a browser the newest approved login takes, and which others have to be emptied, so that there
    /// are at most [`MAX_APPROVED`] of at most [`MAX_APPROVED_BYTES`]: what does not open goes, then the oldest.
    ///
    /// Slots have fixed names, so that many decisions at the same instant cannot leave more cookies than there are
    /// slots; a free one is taken at random, so that they do not all take the same.
    fn place(&self, held: &[(usize, String)], newest: usize) -> Slots {
        let mut aged: Vec<_> = held
            .iter()
            .map(|(slot, text)| (self.approved(text).map(|login| login.turn), *slot, text.len()))
            .collect();
        aged.sort_unstable();
        let turn = aged.last().and_then(|(turn, ..)| *turn).map_or(0, |turn| turn.saturating_add(1));
        let mut bytes = newest;
        let kept: Vec<usize> = aged
            .iter()
            .rev()
            .take(MAX_APPROVED - 1)
            .take_while(|(turn, _, length)| {
                bytes += length;
                turn.is_some() && bytes <= MAX_APPROVED_BYTES
            })
            .map(|(_, slot, _)| *slot)
            .collect();
        let free: Vec<usize> = (0..MAX_APPROVED).filter(|slot| !kept.contains(slot)).collect();
        let [random] = self.random();
        let slot = free[usize::from(random) % free.len()];
        let emptied = held.iter().map(|(held, _)| *held).filter(|held| *held != slot && !kept.contains(held));
        Slots { turn, slot, emptied: emptied.collect() }
    }
}

/// Where the newest approved login of a browser goes.
struct Slots {
    turn: u32,
    slot: usize,
    emptied: Vec<usize>,
}

impl From<NotAdmitted> for Reason {
    fn from(why: NotAdmitted) -> Self {
        Self::Client(why)
    }
}
