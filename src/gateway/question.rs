//! The body of a request, on its way up: bounded in length, and in how long its sender may fall silent.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::body::Bytes;
use axum::body::HttpBody;
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::body::SizeHint;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::Sleep;

use crate::gateway::challenge::Stopped;

/// Who sends a body and falls silent for so long is not going to send the rest.
const SILENCE: Duration = Duration::from_secs(30);

/// All of a body that is judged before it goes on has to come within this.
const WHOLE: Duration = Duration::from_secs(60);

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    TooLong,
    Silent,
    /// Its sender is gone.
    Broken,
    /// Others hold so much that there is no room for it.
    NoRoom,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the request body is too long",
            Self::Silent => "the request body does not come",
            Self::Broken => "the request body has broken off",
            Self::NoRoom => "there is no room for the request body",
        })
    }
}

impl Error for Fault {}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooLong => Self::BodyTooLong,
            Fault::Silent | Fault::Broken => Self::BodySlow,
            Fault::NoRoom => Self::NoRoom,
        }
    }
}

/// How a body goes, for whoever sends it on: what fails then is the request, and in HTTP/2 nothing says why.
#[derive(Clone, Default)]
pub struct Ending(Arc<Way>);

#[derive(Default)]
struct Way {
    ended: OnceLock<Result<(), Fault>>,
    /// Its sender is waited for, and not whoever it is sent on to.
    waits: AtomicBool,
}

impl Ending {
    /// Of a body that is there already.
    #[must_use]
    pub fn whole() -> Self {
        Self(Arc::new(Way { ended: OnceLock::from(Ok(())), ..Way::default() }))
    }

    /// Whether it ended well, once it has ended.
    #[must_use]
    pub fn get(&self) -> Option<Result<(), Fault>> {
        self.0.ended.get().copied()
    }

    /// Whether its sender is waited for.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.0.waits.load(Ordering::Relaxed)
    }
}

/// A body of at most `limit` bytes.
pub struct Question {
    body: Body,
    left: usize,
    /// Runs while nothing comes.
    silence: Option<Pin<Box<Sleep>>>,
    pub ending: Ending,
}

impl Question {
    /// Refuses at once what says that it is longer.
    pub fn new(body: Body, limit: usize) -> Result<Self, Stopped> {
        match usize::try_from(body.size_hint().lower()) {
            Ok(length) if length <= limit => {
                Ok(Self { body, left: limit, silence: None, ending: Ending::default() })
            }
            _ => Err(Stopped::BodyTooLong),
        }
    }

    /// All of it, as far as there is `room`, in bytes.
    pub async fn whole(mut self, room: &Arc<Semaphore>) -> Result<Whole, Stopped> {
        let take = |bytes: usize| {
            let taken =
                u32::try_from(bytes).ok().and_then(|n| Arc::clone(room).try_acquire_many_owned(n).ok());
            taken.ok_or(Fault::NoRoom)
        };
        let read = async {
            let (mut whole, mut held) = (Vec::new(), take(0)?);
            while let Some(frame) = self.frame().await {
                let Ok(data) = frame?.into_data() else { continue };
                held.merge(take(data.len())?);
                // Copied: pieces of one byte each would otherwise cost many times their length.
                whole.extend_from_slice(&data);
            }
            Ok(Whole { bytes: Bytes::from(whole), _held: held })
        };
        tokio::time::timeout(WHOLE, read).await.unwrap_or(Err(Fault::Silent)).map_err(Fault::into)
    }

    fn is_silent(&mut self, context: &mut Context<'_>) -> bool {
        #[expect(clippy::disallowed_methods, reason = "nothing tells that nothing comes any more")]
        let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(SILENCE)));
        silence.as_mut().poll(context).is_ready()
    }

    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            let frame = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Pending if self.is_silent(context) => return Poll::Ready(Some(Err(Fault::Silent))),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(Fault::Broken))),
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            self.silence = None;
            // Trailers are headers that come late.
            let Ok(data) = frame.into_data() else { continue };
            let left = self.left.checked_sub(data.len());
            self.left = left.unwrap_or_default();
            return Poll::Ready(Some(left.map(|_| data).ok_or(Fault::TooLong)));
        }
    }
}

/// A body that is held. It takes its room until it has been sent on, or is dropped.
pub struct Whole {
    bytes: Bytes,
    _held: OwnedSemaphorePermit,
}

impl Whole {
    /// What it says.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

impl HttpBody for Question {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let next = self.next(context);
        self.ending.0.waits.store(next.is_pending(), Ordering::Relaxed);
        let next = std::task::ready!(next);
        match &next {
            None => drop(self.ending.0.ended.set(Ok(()))),
            Some(Err(fault)) => drop(self.ending.0.ended.set(Err(*fault))),
            Some(Ok(_)) if self.body.is_end_stream() => drop(self.ending.0.ended.set(Ok(()))),
            Some(Ok(_)) => {}
        }
        Poll::Ready(next.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
