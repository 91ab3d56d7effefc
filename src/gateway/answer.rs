//! The body of an answer, on its way down: as it comes, for as long as its caller stands, and kept open where it is a
//! stream of events.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::body::Bytes;
use axum::body::HttpBody;
use hyper::body::Frame;
use hyper::body::SizeHint;
use tokio::time::Instant;
use tokio::time::Sleep;
use tracing::Span;

use crate::flows::caller::Reason;
use crate::flows::refusal::Refusal;
use crate::flows::under_way::Open;
use crate::gateway::Gate;
use crate::gateway::boundary::KEEP_ALIVE;
use crate::gateway::boundary::Tail;
use crate::gateway::passing::Passing;

/// After so long without a word a stream of events gets a comment, since ingresses cut what is idle.
const BEAT: Duration = Duration::from_secs(25);

/// Why an answer is cut off.
#[derive(Debug)]
pub enum Cut {
    /// The upstream broke off.
    Broken(hyper::Error),
    /// Nothing of it has gone on for too long.
    Silent,
    /// The caller's grant has ended, or does not suffice any more.
    Fallen(Reason),
}

impl Cut {
    fn cause(&self) -> &'static str {
        match self {
            Self::Broken(_) => "broken",
            Self::Silent => "silent",
            Self::Fallen(_) => "fallen",
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => write!(f, "the MCP server broke off: {error}"),
            Self::Silent => f.write_str("nothing has gone on for idle_timeout"),
            Self::Fallen(why) => write!(f, "its caller may not go on: {}", why.row().name),
        }
    }
}

impl Error for Cut {}

/// An answer of the upstream, for one caller.
pub struct Answer {
    passing: Arc<Passing>,
    gate: Gate,
    span: Span,
    /// The end of what has gone by, where it is a stream of events.
    events: Option<Tail>,
    /// A client asks for it again, by itself, when it ends.
    reopened: bool,
    /// Since it has been waited for: when it is looked at next.
    beat: Option<Pin<Box<Sleep>>>,
    /// The request is under way as long as this.
    _open: Open,
}

impl Answer {
    /// `events`: whether it is a stream of events in which comments may be put. `reopened`: whether a client takes its
    /// end for a reason to ask again.
    pub fn new(passing: Arc<Passing>, gate: &Gate, open: Open, events: bool, reopened: bool) -> Self {
        let events = events.then(Tail::default);
        Self { passing, gate: gate.clone(), span: Span::current(), events, reopened, beat: None, _open: open }
    }

    /// How long nothing has come, once it is long enough to do something about it.
    #[expect(clippy::disallowed_methods, reason = "silence is measured by the clock that wakes who waits")]
    fn silence(&mut self, context: &mut Context<'_>) -> Option<Duration> {
        let idle_timeout = self.gate.idle_timeout();
        let first = BEAT.min(idle_timeout);
        let beat = self.beat.get_or_insert_with(|| Box::pin(tokio::time::sleep(first)));
        while beat.as_mut().poll(context).is_ready() {
            let silent = self.passing.silent();
            let rest = idle_timeout.saturating_sub(silent);
            // Something may have come meanwhile.
            let told = silent >= first;
            let pause = if told { BEAT.min(rest) } else { first - silent };
            beat.as_mut().reset(Instant::now() + pause);
            if told {
                return Some(silent);
            }
        }
        None
    }

    fn is_at_boundary(&self) -> bool {
        self.events.as_ref().is_some_and(Tail::is_boundary)
    }

    /// Where nothing is torn and a client goes on by asking again, an end is an end; elsewhere it has to be seen that
    /// something is missing, be it only the result of a call.
    fn cut(&self, why: Cut) -> Option<Result<Frame<Bytes>, Cut>> {
        self.span.in_scope(|| self.gate.tell_of_a_cut(why.cause(), &why));
        (!self.reopened || !self.is_at_boundary()).then_some(Err(why))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.passing.is_left();
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        loop {
            match self.passing.poll_answer(context) {
                None => {
                    let why = match self.passing.fallen(context) {
                        Poll::Ready(why) => Cut::Fallen(why),
                        Poll::Pending => Cut::Silent,
                    };
                    return Poll::Ready(self.cut(why));
                }
                Some(Poll::Ready(None)) => return Poll::Ready(None),
                Some(Poll::Ready(Some(Err(error)))) => return Poll::Ready(self.cut(Cut::Broken(error))),
                Some(Poll::Ready(Some(Ok(frame)))) => {
                    // Trailers are headers that come late.
                    let Ok(data) = frame.into_data() else { continue };
                    if let Some(tail) = &mut self.events {
                        tail.push(&data);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Poll::Pending) => {}
            }
            // From here on whoever ends it wakes us.
            if let Poll::Ready(why) = self.passing.fallen(context) {
                return Poll::Ready(self.cut(Cut::Fallen(why)));
            }
            if self.reopened && self.passing.is_to_yield() && self.is_at_boundary() {
                return Poll::Ready(None);
            }
            let Some(silent) = self.silence(context) else { return Poll::Pending };
            if silent >= self.gate.idle_timeout() {
                return Poll::Ready(self.cut(Cut::Silent));
            }
            if self.is_at_boundary() {
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(KEEP_ALIVE)))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.passing.body(HttpBody::is_end_stream).unwrap_or_default()
    }

    fn size_hint(&self) -> SizeHint {
        match self.events {
            Some(_) => SizeHint::default(),
            None => self.passing.body(HttpBody::size_hint).unwrap_or_default(),
        }
    }
}
