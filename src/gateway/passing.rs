//! A request on its way through, as those see it who look after all of them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::body::Bytes;
use axum::body::HttpBody;
use futures_util::task::AtomicWaker;
use hyper::body::Frame;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::flows::caller::Credential;
use crate::flows::caller::Reason;
use crate::flows::under_way::UnderWay;

/// What is shared of it.
pub struct Passing {
    credential: Arc<Credential>,
    /// Why its caller does not stand any more.
    fallen: OnceLock<Reason>,
    yields: AtomicBool,
    asked: AtomicBool,
    waker: AtomicWaker,
    idle_timeout: Duration,
    answer: Mutex<Option<Body>>,
}

/// The body of the answer. It lies here because a body whose reader is slow is polled by nobody: it, and the connection
/// that it comes from, have to end all the same.
struct Body {
    body: Incoming,
    /// When something of it last went on.
    heard: Instant,
}

impl Passing {
    /// A request that has just been recognised; its answer may fall silent for `idle_timeout`.
    pub fn new(credential: Arc<Credential>, idle_timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            credential,
            fallen: OnceLock::new(),
            yields: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            idle_timeout,
            answer: Mutex::default(),
        })
    }

    fn answer(&self) -> MutexGuard<'_, Option<Body>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer has begun.
    pub fn answers(&self, body: Incoming) {
        let mut answer = self.answer();
        // Looked at behind the lock: who falls from now on takes it away.
        *answer = self.fallen.get().is_none().then_some(Body { body, heard: now() });
    }

    /// Nobody waits for the answer any more.
    pub fn is_left(&self) {
        let body = self.answer().take();
        drop(body);
    }

    /// The upstream is being asked.
    pub fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether it may have done by now what it was asked.
    pub fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Why the caller does not stand any more, once that is so. Whoever asks is woken when it changes.
    pub fn fallen(&self, context: &Context<'_>) -> Poll<Reason> {
        self.waker.register(context.waker());
        self.fallen.get().map_or(Poll::Pending, |why| Poll::Ready(*why))
    }

    /// Whether the program stops, and what can be taken up again elsewhere is to end.
    pub fn is_to_yield(&self) -> bool {
        self.yields.load(Ordering::Relaxed)
    }

    /// What comes next of the body; `None` when it was taken away.
    pub fn poll_answer(
        &self,
        context: &mut Context<'_>,
    ) -> Option<Poll<Option<hyper::Result<Frame<Bytes>>>>> {
        let mut answer = self.answer();
        let Body { body, heard } = answer.as_mut()?;
        let polled = Pin::new(body).poll_frame(context);
        if polled.is_ready() {
            *heard = now();
        }
        Some(polled)
    }

    /// How long nothing has come.
    pub fn silent(&self) -> Duration {
        self.answer().as_ref().map_or(Duration::ZERO, |answer| now() - answer.heard)
    }

    /// What `of` says of the body, if it is there.
    pub fn body<T>(&self, of: impl FnOnce(&Incoming) -> T) -> Option<T> {
        self.answer().as_ref().map(|Body { body, .. }| of(body))
    }
}

impl UnderWay for Passing {
    fn credential(&self) -> &Arc<Credential> {
        &self.credential
    }

    fn falls(&self, why: Reason) {
        let _ = self.fallen.set(why);
        let body = self.answer().take();
        drop(body);
        self.waker.wake();
    }

    fn yields(&self) {
        self.yields.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    /// Whose reader does not read keeps the upstream waiting no longer than an upstream may keep a reader.
    fn goes_on(&self) {
        let mut answer = self.answer();
        if answer.as_ref().is_some_and(|Body { heard, .. }| now() - *heard >= self.idle_timeout) {
            let body = answer.take();
            drop((answer, body));
            self.waker.wake();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "silence is measured by the clock that wakes who waits")]
fn now() -> Instant {
    Instant::now()
}
