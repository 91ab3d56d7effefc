use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use super::face::Face;
use super::fault::Fault;
use super::keys;
use super::script::Seen;
use super::sign_in::Freshness;
use super::sign_in::SignIn;

/// How many requests and issued secrets are kept for inspection.
const KEPT: usize = 2_000;
/// How long a code that expired can still be told from one that never was, in seconds.
const CODE_REMEMBERED: i64 = 24 * 60 * 60;

/// What one instance remembers. Everything is lost when it stops.
#[derive(Default)]
pub(super) struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    sign_ins: HashMap<String, SignIn>,
    /// When each person signed in last, by index.
    sessions: HashMap<usize, i64>,
    codes: HashMap<String, Code>,
    refresh_tokens: HashMap<String, Grant>,
    access_tokens: HashMap<String, Grant>,
    graph_consented: bool,
    key_generation: u32,
    seen: VecDeque<Seen>,
    secrets: VecDeque<String>,
}

/// What a person granted. There is one client, so that nothing needs to say whose grant it is.
#[derive(Clone)]
pub(super) struct Grant {
    pub face: Face,
    pub person: usize,
    pub scope: Vec<String>,
    pub auth_time: i64,
}

/// What a code stands for.
#[derive(Clone)]
pub(super) struct Code {
    pub grant: Grant,
    pub redirect_uri: String,
    pub nonce: Option<String>,
    /// The S256 challenge (RFC 7636 §4.2).
    pub challenge: Option<String>,
    pub expires_at: i64,
    pub spent: bool,
}

impl Memory {
    pub fn record(&self, seen: Seen) {
        let mut state = self.state();
        if state.seen.len() == KEPT {
            state.seen.pop_front();
        }
        state.seen.push_back(seen);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.iter().cloned().collect()
    }

    pub fn secrets(&self) -> Vec<String> {
        self.state().secrets.iter().cloned().collect()
    }

    pub fn key_generation(&self) -> u32 {
        self.state().key_generation
    }

    pub fn roll_key(&self) {
        self.state().key_generation += 1;
    }

    /// Keeps a sign-in while its page is shown, and returns its handle.
    pub fn keep_sign_in(&self, sign_in: SignIn, now: i64) -> String {
        let handle = keys::random();
        let mut state = self.state();
        state.sign_ins.retain(|_, kept| now < kept.expires_at);
        state.sign_ins.insert(handle.clone(), sign_in);
        handle
    }

    /// Takes a sign-in out, so that a page works once.
    pub fn take_sign_in(&self, handle: &str, now: i64) -> Option<SignIn> {
        self.state().sign_ins.remove(handle).filter(|kept| now < kept.expires_at)
    }

    /// When the person signed in, which is now unless there is a session that is fresh enough.
    pub fn auth_time(&self, person: usize, freshness: Freshness, now: i64) -> i64 {
        let fits = |since: i64| {
            !freshness.login && freshness.max_age.is_none_or(|age| now.saturating_sub(since) <= age.into())
        };
        let mut state = self.state();
        let since = state.sessions.get(&person).copied().filter(|since| fits(*since)).unwrap_or(now);
        state.sessions.insert(person, since);
        since
    }

    pub fn issue_code(&self, code: Code, now: i64) -> String {
        let value = keys::random();
        let mut state = self.state();
        state.codes.retain(|_, kept| now < kept.expires_at.saturating_add(CODE_REMEMBERED));
        state.codes.insert(value.clone(), code);
        state.issued(&value);
        value
    }

    /// Spends a code. It is spent even when the rest of the request turns out to be wrong, as at Entra.
    pub fn spend_code(&self, value: &str, face: Face, now: i64) -> Result<Code, Fault> {
        let mut state = self.state();
        let code = state
            .codes
            .get_mut(value)
            .filter(|code| code.grant.face == face)
            .ok_or_else(Fault::unknown_code)?;
        if code.spent {
            return Err(Fault::spent_code());
        }
        code.spent = true;
        if now >= code.expires_at {
            return Err(Fault::expired_code());
        }
        Ok(code.clone())
    }

    pub fn issue_refresh_token(&self, grant: Grant) -> String {
        let value = keys::random();
        let mut state = self.state();
        state.refresh_tokens.insert(value.clone(), grant);
        state.issued(&value);
        value
    }

    pub fn refresh_token(&self, value: &str, face: Face) -> Option<Grant> {
        self.state().refresh_tokens.get(value).filter(|grant| grant.face == face).cloned()
    }

    /// Ends a refresh token. False when another request was first.
    pub fn retire_refresh_token(&self, value: &str) -> bool {
        self.state().refresh_tokens.remove(value).is_some()
    }

    /// An opaque access token of this scope.
    pub fn issue_access_token(&self, grant: Grant) -> String {
        let value = keys::random();
        let mut state = self.state();
        state.access_tokens.insert(value.clone(), grant);
        state.issued(&value);
        value
    }

    pub fn access_token(&self, value: &str) -> Option<Grant> {
        self.state().access_tokens.get(value).cloned()
    }

    pub fn consent_to_graph(&self) {
        self.state().graph_consented = true;
    }

    pub fn consented_to_graph(&self) -> bool {
        self.state().graph_consented
    }

    pub fn issued(&self, value: &str) {
        self.state().issued(value);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No method leaves the state half changed, so it is good even after a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn issued(&mut self, secret: &str) {
        if self.secrets.len() == KEPT {
            self.secrets.pop_front();
        }
        self.secrets.push_back(secret.to_owned());
    }
}
