//! Tokens of Entra ID for this program itself.
//!
//! The SDK's credentials ask again and again while they hold the lock of their cache (82 s were measured on an
//! endpoint that fails), refresh when only five minutes are left, and have nothing to give while that fails. So
//! they are asked for one token each, briefly, and the keeping is done here.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::AccessToken;
use azure_core::credentials::TokenCredential;
use azure_core::credentials::TokenRequestOptions;
use azure_core::error::ErrorKind;
use azure_core::http::ClientOptions;
use azure_core::http::ExponentialRetryOptions;
use azure_core::http::RetryOptions;
use azure_core::http::Transport;
use azure_identity::ClientAssertionCredentialOptions;
use azure_identity::DeveloperToolsCredential;
use azure_identity::ManagedIdentityCredential;
use azure_identity::ManagedIdentityCredentialOptions;
use azure_identity::UserAssignedId;
use azure_identity::WorkloadIdentityCredential;
use azure_identity::WorkloadIdentityCredentialOptions;
use tokio::time::timeout;

use crate::domain::time::Timestamp;
use crate::ports::clock::Clock;

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The machine's identity, or the user-assigned one with this client id.
    ManagedIdentity { client_id: Option<String> },
    /// A pod's, by the token that Kubernetes gives it.
    WorkloadIdentity { client_id: Option<String> },
    /// The Azure CLI.
    Developer,
}

/// A credential of `source` that keeps its tokens.
#[must_use]
pub fn credential(source: Source, clock: Arc<dyn Clock>) -> Arc<dyn TokenCredential> {
    Arc::new(KeptCredential::new(move || made(&source), clock))
}

fn made(source: &Source) -> azure_core::Result<Arc<dyn TokenCredential>> {
    Ok(match source {
        Source::ManagedIdentity { client_id } => {
            let options = ManagedIdentityCredentialOptions {
                user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                // The endpoint is the machine's own, over plain http: a proxy would read the token.
                client_options: ClientOptions { transport: Some(direct()?), ..brief() },
            };
            ManagedIdentityCredential::new(Some(options))?
        }
        Source::WorkloadIdentity { client_id } => {
            let options = WorkloadIdentityCredentialOptions {
                credential_options: ClientAssertionCredentialOptions { client_options: brief() },
                client_id: client_id.clone(),
                ..WorkloadIdentityCredentialOptions::default()
            };
            WorkloadIdentityCredential::new(Some(options))?
        }
        Source::Developer => DeveloperToolsCredential::new(None)?,
    })
}

/// A fetch, with all that is tried again in it. Not longer than an operation of the store may take.
const FETCH: Duration = Duration::from_secs(4);
/// After a fetch failed, nobody tries again before.
const PAUSE: Duration = Duration::from_secs(1);
/// After a refresh failed while the old token serves, nobody tries again before.
const REFRESH_PAUSE: Duration = Duration::from_secs(30);
/// A token that ends so soon is not given out: it has to arrive, at a machine whose clock may be ahead.
const TOO_LATE: Duration = Duration::from_secs(30);

fn direct() -> azure_core::Result<Transport> {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let client = client.map_err(|error| azure_core::Error::new(ErrorKind::Other, error))?;
    Ok(Transport::new(Arc::new(client)))
}

fn brief() -> ClientOptions {
    let retry = ExponentialRetryOptions {
        initial_delay: azure_core::time::Duration::milliseconds(100),
        max_retries: 2,
        max_total_elapsed: azure_core::time::Duration::seconds(3),
        ..ExponentialRetryOptions::default()
    };
    ClientOptions { retry: RetryOptions::exponential(retry), ..ClientOptions::default() }
}

/// Makes a credential that has no token yet: what it would keep itself could not be refreshed early.
type Make = dyn Fn() -> azure_core::Result<Arc<dyn TokenCredential>> + Send + Sync;

/// Another credential's tokens, kept for each scope.
pub struct KeptCredential {
    make: Arc<Make>,
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<Vec<String>, Arc<Kept>>>,
}

/// The token for one scope.
#[derive(Default)]
struct Kept {
    state: Mutex<State>,
    /// Whoever fetches holds it. It is waited for no longer than a fetch may take.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    token: Option<AccessToken>,
    /// From when on it is refreshed, while it still serves.
    refresh_from: Option<Timestamp>,
    /// How often a fetch has failed, and when last.
    failures: u64,
    failed_at: Option<Duration>,
}

impl KeptCredential {
    /// Keeps the tokens of what `make` makes, which is asked for one token and dropped.
    pub fn new(
        make: impl Fn() -> azure_core::Result<Arc<dyn TokenCredential>> + Send + Sync + 'static,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { make: Arc::new(make), clock, kept: Mutex::default() }
    }
}

impl fmt::Debug for KeptCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptCredential").finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenCredential for KeptCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let scopes: Vec<String> = scopes.iter().map(|&scope| scope.to_owned()).collect();
        let kept = Arc::clone(locked(&self.kept).entry(scopes.clone()).or_default());
        let fetch = Fetch { make: Arc::clone(&self.make), clock: Arc::clone(&self.clock), kept, scopes };
        let (token, stale, failures) = fetch.look();
        match token {
            Some(token) => {
                if stale {
                    fetch.refresh_behind();
                }
                Ok(token)
            }
            None => fetch.in_turn(failures).await,
        }
    }
}

/// What one fetch needs. It may outlive who asked.
#[derive(Clone)]
struct Fetch {
    make: Arc<Make>,
    clock: Arc<dyn Clock>,
    kept: Arc<Kept>,
    scopes: Vec<String>,
}

impl Fetch {
    /// The token, if it still serves; whether it should be refreshed; how often fetching has failed.
    fn look(&self) -> (Option<AccessToken>, bool, u64) {
        let now = self.clock.now();
        let state = locked(&self.kept.state);
        let serves = |token: &&AccessToken| now.plus(TOO_LATE).0 < token.expires_on.unix_timestamp();
        let token = state.token.as_ref().filter(serves).cloned();
        let resting = state.failed_at.is_some_and(|at| self.clock.elapsed() < at + REFRESH_PAUSE);
        let stale = !resting && state.refresh_from.is_some_and(|from| now >= from);
        (token, stale, state.failures)
    }

    /// Refreshes in a task of its own, unless somebody does already.
    fn refresh_behind(self) {
        tokio::spawn(async move {
            let Ok(_turn) = self.kept.turn.try_lock() else { return };
            // Whoever had the turn before may have done it.
            if self.look().1 {
                drop(self.fetch().await);
            }
        });
    }

    /// Fetches, or waits for who does and shares what comes of it. `failures` is what the asker knew of.
    async fn in_turn(self, failures: u64) -> azure_core::Result<AccessToken> {
        let Ok(_turn) = timeout(FETCH, self.kept.turn.lock()).await else { return Err(none()) };
        let (token, _, failed) = self.look();
        if let Some(token) = token {
            return Ok(token);
        }
        let just_failed = {
            let state = locked(&self.kept.state);
            state.failed_at.is_some_and(|at| self.clock.elapsed() < at + PAUSE)
        };
        if failed != failures || just_failed {
            return Err(none());
        }
        self.fetch().await
    }

    /// Asks. The turn is the caller's.
    async fn fetch(&self) -> azure_core::Result<AccessToken> {
        let scopes: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        let asked = async { (self.make)()?.get_token(&scopes, None).await };
        let fetched = timeout(FETCH, asked).await.unwrap_or_else(|_| Err(none()));
        let now = self.clock.now();
        let mut state = locked(&self.kept.state);
        match fetched {
            Ok(token) => {
                let left = Timestamp(token.expires_on.unix_timestamp()).since(now);
                *state = State {
                    refresh_from: Some(now.plus(left / 2)),
                    token: Some(token.clone()),
                    ..State::default()
                };
                Ok(token)
            }
            Err(error) => {
                state.failures += 1;
                state.failed_at = Some(self.clock.elapsed());
                // What Azure's endpoints say of an identity; it holds no token.
                tracing::warn!(scopes = ?self.scopes, %error, "Azure gave no token");
                Err(none())
            }
        }
    }
}

/// For whoever asked: the log has the reason.
fn none() -> azure_core::Error {
    azure_core::Error::with_message(ErrorKind::Credential, "Azure gave no token")
}

/// Whoever panicked while it was locked has left nothing half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
