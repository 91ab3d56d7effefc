//! The identity provider's script: honest until a test says otherwise.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use entrada::demo::idp::Endpoint;
use entrada::demo::idp::GrantKind;
use entrada::demo::idp::IdToken;
use entrada::demo::idp::Reply;
use entrada::demo::idp::Script;
use serde_json::Map;
use serde_json::Value;

type Before = Box<dyn Fn(Endpoint, &[(String, String)]) -> Option<Reply> + Send + Sync>;
type Lie = Box<dyn Fn(GrantKind, &mut IdToken) + Send + Sync>;
type Answer = Box<dyn Fn(GrantKind, &mut Map<String, Value>) + Send + Sync>;

/// What a test can make the identity provider do.
pub struct Scripted {
    person: Mutex<Option<usize>>,
    before: Mutex<Option<Before>>,
    lie: Mutex<Option<Lie>>,
    answer: Mutex<Option<Answer>>,
    /// Token requests are read and never answered.
    silent: AtomicBool,
}

impl Scripted {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            person: Mutex::new(Some(0)),
            before: Mutex::new(None),
            lie: Mutex::new(None),
            answer: Mutex::new(None),
            silent: AtomicBool::new(false),
        })
    }

    /// Who signs in next.
    pub fn person(&self, index: usize) {
        *self.person.lock().unwrap() = Some(index);
    }

    /// Its page asks who signs in.
    pub fn asks(&self) {
        *self.person.lock().unwrap() = None;
    }

    /// Answers in the identity provider's place.
    pub fn answer_with(
        &self,
        before: impl Fn(Endpoint, &[(String, String)]) -> Option<Reply> + Send + Sync + 'static,
    ) {
        *self.before.lock().unwrap() = Some(Box::new(before));
    }

    /// Answers the token endpoint so, once for each request, until [`Scripted::honest`].
    pub fn token_endpoint_says(&self, reply: Reply) {
        self.answer_with(move |endpoint, _| (endpoint == Endpoint::Token).then(|| reply.clone()));
    }

    /// Lies in ID tokens.
    pub fn lie(&self, lie: impl Fn(GrantKind, &mut IdToken) + Send + Sync + 'static) {
        *self.lie.lock().unwrap() = Some(Box::new(lie));
    }

    /// Changes successful answers of the token endpoint.
    pub fn change_answer(&self, answer: impl Fn(GrantKind, &mut Map<String, Value>) + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Some(Box::new(answer));
    }

    /// Its token endpoint reads and says nothing, until [`Scripted::honest`].
    pub fn token_endpoint_hangs(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// Honest again.
    pub fn honest(&self) {
        self.silent.store(false, Ordering::SeqCst);
        *self.before.lock().unwrap() = None;
        *self.lie.lock().unwrap() = None;
        *self.answer.lock().unwrap() = None;
    }
}

#[async_trait]
impl Script for Scripted {
    async fn before(&self, endpoint: Endpoint, params: &[(String, String)]) -> Option<Reply> {
        if endpoint == Endpoint::Token && self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.before.lock().unwrap().as_ref().and_then(|before| before(endpoint, params))
    }

    fn pick(&self) -> Option<usize> {
        *self.person.lock().unwrap()
    }

    fn id_token(&self, grant: GrantKind, token: &mut IdToken) {
        if let Some(lie) = self.lie.lock().unwrap().as_ref() {
            lie(grant, token);
        }
    }

    fn token_response(&self, grant: GrantKind, response: &mut Map<String, Value>) {
        if let Some(answer) = self.answer.lock().unwrap().as_ref() {
            answer(grant, response);
        }
    }
}
