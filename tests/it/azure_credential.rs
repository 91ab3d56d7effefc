//! Tokens of Azure, kept: by a credential that does as it is told, and a clock that only tests move.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::AccessToken;
use azure_core::credentials::TokenCredential;
use azure_core::credentials::TokenRequestOptions;
use azure_core::time::OffsetDateTime;
use entrada::adapters::azure_credential::KeptCredential;
use entrada::domain::time::Timestamp;
use entrada::ports::clock::Clock;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::clock::MovedClock;

const NOW: Timestamp = Timestamp(1_795_392_000);
const SCOPE: &str = "https://cosmos.azure.com/.default";

#[derive(Debug)]
enum Reply {
    /// A token that lives so many seconds.
    Token(&'static str, i64),
    Fails,
    Hangs,
    /// A token, once somebody says so.
    Waits(&'static str),
}

/// What is asked, and what it answers.
#[derive(Debug)]
struct Azure {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<String>>,
    go_on: Notify,
    news: Notify,
    clock: Mutex<Timestamp>,
}

#[derive(Debug)]
struct Inner(Arc<Azure>);

#[async_trait]
impl TokenCredential for Inner {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        self.0.asked.lock().unwrap().push(scopes.join(" "));
        self.0.news.notify_one();
        let reply = self.0.replies.lock().unwrap().pop_front().expect("nobody was to ask");
        let token = |name: &'static str, seconds| {
            let now = self.0.clock.lock().unwrap().0;
            Ok(AccessToken::new(name, OffsetDateTime::from_unix_timestamp(now + seconds).unwrap()))
        };
        match reply {
            Reply::Token(name, seconds) => token(name, seconds),
            Reply::Fails => {
                Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, "no"))
            }
            Reply::Hangs => std::future::pending().await,
            Reply::Waits(name) => {
                self.0.go_on.notified().await;
                token(name, 3_600)
            }
        }
    }
}

struct Setting {
    azure: Arc<Azure>,
    clock: Arc<MovedClock>,
    kept: Arc<KeptCredential>,
}

impl Setting {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let azure = Arc::new(Azure {
            replies: Mutex::new(replies.into_iter().collect()),
            asked: Mutex::default(),
            go_on: Notify::new(),
            news: Notify::new(),
            clock: Mutex::new(NOW),
        });
        let clock = MovedClock::at(NOW);
        let inner = Arc::clone(&azure);
        let kept = KeptCredential::new(move || Ok(Arc::new(Inner(Arc::clone(&inner))) as _), clock.clone());
        Self { azure, clock, kept: Arc::new(kept) }
    }

    async fn token(&self) -> Option<String> {
        let token = self.kept.get_token(&[SCOPE], None).await;
        token.ok().map(|token| token.token.secret().to_owned())
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        *self.azure.clock.lock().unwrap() = self.clock.now();
    }

    fn asked(&self) -> usize {
        self.azure.asked.lock().unwrap().len()
    }

    /// Until somebody has asked, and what was asked behind has come to its end.
    async fn behind(&self) {
        self.azure.news.notified().await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

fn some(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[tokio::test]
async fn a_token_is_kept_and_refreshed_behind_at_half_of_its_life() {
    let setting = Setting::new([Reply::Token("one", 3_600), Reply::Token("two", 3_600)]);
    assert_eq!((setting.token().await, setting.asked()), (some("one"), 1));
    setting.behind().await;
    setting.pass(1_799);
    assert_eq!((setting.token().await, setting.asked()), (some("one"), 1));
    setting.pass(1);
    assert_eq!(setting.token().await, some("one"), "nobody waits for a refresh");
    setting.behind().await;
    assert_eq!((setting.token().await, setting.asked()), (some("two"), 2));
}

#[tokio::test]
async fn while_azure_fails_the_old_token_serves_until_it_ends_and_is_asked_for_seldom() {
    let setting = Setting::new([Reply::Token("one", 3_600), Reply::Fails, Reply::Fails, Reply::Fails]);
    setting.token().await.unwrap();
    setting.behind().await;
    setting.pass(1_800);
    assert_eq!(setting.token().await, some("one"));
    setting.behind().await;
    setting.pass(29);
    assert_eq!((setting.token().await, setting.asked()), (some("one"), 2), "a pause of 30 s");
    setting.pass(1);
    assert_eq!(setting.token().await, some("one"));
    setting.behind().await;
    assert_eq!(setting.asked(), 3);
    setting.pass(3_600 - 1_830 - 30);
    assert_eq!((setting.token().await, setting.asked()), (None, 4), "it would end on its way");
}

#[tokio::test]
async fn many_who_need_a_token_ask_once_and_share_a_failure_as_well() {
    for (reply, token) in [(Reply::Token("one", 3_600), some("one")), (Reply::Fails, None)] {
        let setting = Arc::new(Setting::new([reply]));
        let mut askers = JoinSet::new();
        for _ in 0..20 {
            let setting = Arc::clone(&setting);
            askers.spawn(async move { setting.token().await });
        }
        assert!(askers.join_all().await.into_iter().all(|got| got == token));
        assert_eq!(setting.asked(), 1);
    }
}

#[tokio::test]
async fn after_a_failure_it_is_asked_again_in_a_second() {
    let setting = Setting::new([Reply::Fails, Reply::Token("one", 3_600)]);
    assert_eq!(setting.token().await, None);
    assert_eq!((setting.token().await, setting.asked()), (None, 1));
    setting.pass(1);
    assert_eq!((setting.token().await, setting.asked()), (some("one"), 2));
}

/// Time of tokio stands still and jumps: the four seconds pass at once.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_keeps_nobody_waiting_for_long() {
    let setting = Arc::new(Setting::new([Reply::Hangs]));
    let mut askers = JoinSet::new();
    for _ in 0..20 {
        let setting = Arc::clone(&setting);
        askers.spawn(async move { tokio::time::timeout(Duration::from_secs(9), setting.token()).await });
    }
    assert!(askers.join_all().await.into_iter().all(|got| got == Ok(None)));
    assert_eq!(setting.asked(), 1);
}

#[tokio::test]
async fn a_refresh_that_takes_its_time_is_one_and_nobody_waits_for_it() {
    let setting = Setting::new([Reply::Token("one", 3_600), Reply::Waits("two")]);
    setting.token().await.unwrap();
    setting.behind().await;
    setting.pass(1_800);
    for _ in 0..20 {
        assert_eq!(setting.token().await, some("one"));
    }
    setting.behind().await;
    assert_eq!((setting.token().await, setting.asked()), (some("one"), 2));
    setting.azure.go_on.notify_one();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!((setting.token().await, setting.asked()), (some("two"), 2));
}

#[tokio::test]
async fn each_scope_has_a_token_of_its_own() {
    let setting = Setting::new([Reply::Token("one", 3_600), Reply::Token("two", 3_600)]);
    assert_eq!(setting.token().await, some("one"));
    let other = setting.kept.get_token(&["api://AzureADTokenExchange/.default"], None).await.unwrap();
    assert_eq!(other.token.secret(), "two");
    assert_eq!(setting.token().await, some("one"));
    assert_eq!(*setting.azure.asked.lock().unwrap(), [SCOPE, "api://AzureADTokenExchange/.default"]);
}
