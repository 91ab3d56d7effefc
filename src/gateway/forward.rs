//! One request through the gateway.

use std::future::poll_fn;
use std::sync::Arc;

use crate::domain::forwarding::Forwarding;
use crate::flows::caller::Caller;
use crate::flows::caller::Credential;
use crate::flows::caller::Reason;
use crate::gateway::Gate;
use crate::gateway::answer::Answer;
use crate::gateway::challenge::Stopped;
use crate::gateway::credential::Presented;
use crate::gateway::credential::presented;
use crate::gateway::headers;
use crate::gateway::origin;
use crate::gateway::passing::Passing;
use crate::gateway::path::upstream_uri;
use crate::gateway::question::Ending;
use crate::gateway::question::Question;
use crate::gateway::session;
use crate::gateway::session::Session;
use crate::gateway::tools;
use axum::body::Body;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Version;
use axum::http::request::Parts;
use axum::http::response;
use axum::response::Response;
use hyper::body::Incoming;

/// Of the observer of all requests, whatever a caller has sent under this name or said of it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl Gate {
    /// Verifies the caller and forwards the request, streaming both ways.
    pub async fn forward(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let caller = match self.caller(&parts).await {
            Ok(caller) => caller,
            Err(stopped) => return self.refusal(stopped, None),
        };
        let credential = Arc::clone(&caller.credential);
        let passing = Passing::new(Arc::clone(&credential), self.idle_timeout());
        let answered = tokio::select! {
            biased;
            answered = self.forwarded(parts, body, caller, &passing) => answered,
            reason = poll_fn(|context| passing.fallen(context)) => Err(match passing.has_asked() {
                // Who was told to sign in would make the call again.
                true => Stopped::EndedMeanwhile,
                false => fallen(&credential, reason),
            }),
        };
        answered.unwrap_or_else(|stopped| self.refusal(stopped, Some(&credential)))
    }

    async fn caller(&self, parts: &Parts) -> Result<Caller, Stopped> {
        let resource = &self.0.resource;
        origin::check(resource.forwarding.origins.as_deref(), &parts.headers)?;
        let verified = match presented(&parts.headers, &parts.uri, resource.allowed.keys)? {
            Presented::Token(token) => self.0.auth.verify(token, resource).await,
            Presented::Key(key) => self.0.auth.verify_key(key, resource).await,
        };
        verified.map_err(Stopped::Caller)
    }

    async fn forwarded(
        &self,
        mut parts: Parts,
        body: Body,
        caller: Caller,
        passing: &Arc<Passing>,
    ) -> Result<Response, Stopped> {
        let auth = &self.0.auth;
        let request: Arc<Passing> = Arc::clone(passing);
        let open = auth.paced(&caller, request).map_err(Stopped::TooMany)?;
        let session = session::opened(auth, &caller, &mut parts.headers)?;
        let Permitted { body, ending, caller } = self.permitted(&parts, body, caller).await?;
        self.readdress(&mut parts, &caller, session.as_ref())?;
        let reopened = parts.method == Method::GET;
        passing.asks();
        let response = self.sent(Request::from_parts(parts, body), &ending).await?;
        self.judged(&response, &caller.credential)?;
        let (mut parts, body) = response.into_parts();
        session::seal(auth, &caller, session.as_ref(), &mut parts.headers);
        let events = self.describe(&mut parts);
        passing.answers(body);
        let answer = Answer::new(Arc::clone(passing), self, open, events, reopened);
        Ok(Response::from_parts(parts, Body::new(answer)))
    }

    /// The body, if the caller may do what it asks. It is held only where there are rules for tools; then it has come in
    /// its own time, and the caller is looked at once more.
    async fn permitted(&self, parts: &Parts, body: Body, caller: Caller) -> Result<Permitted, Stopped> {
        let Forwarding { tools: rules, body_limit, .. } = &self.0.resource.forwarding;
        let posted = parts.method == Method::POST;
        if body.is_end_stream() && (rules.is_empty() || !posted) {
            return Ok(Permitted { body, ending: Ending::whole(), caller });
        }
        let question = Question::new(body, *body_limit)?;
        if rules.is_empty() {
            let ending = question.ending.clone();
            return Ok(Permitted { body: Body::new(question), ending, caller });
        }
        if !posted {
            // It would be judged by nobody.
            return Err(Stopped::BodyUnreadable);
        }
        tools::judge_headers(rules, caller.credential.scopes(), &parts.headers)?;
        let whole = question.whole(&self.0.room).await?;
        tools::judge_body(rules, caller.credential.scopes(), &parts.headers, whole.bytes())?;
        let credential = Arc::clone(&caller.credential);
        let renewed = self.0.auth.renewed(caller).await;
        let caller = renewed.map_err(|reason| fallen(&credential, reason))?;
        Ok(Permitted { body: Body::new(whole), ending: Ending::whole(), caller })
    }

    /// Makes of it the same request, to the upstream, as the caller that we verified.
    fn readdress(
        &self,
        parts: &mut Parts,
        caller: &Caller,
        session: Option<&Session>,
    ) -> Result<(), Stopped> {
        let Self(gate) = self;
        let asked = &parts.uri;
        parts.uri = match &gate.uri {
            Some(uri) if asked.path() == gate.resource.path && asked.query().is_none() => uri.clone(),
            _ => upstream_uri(&gate.url, &gate.resource.path, asked)?,
        };
        // Either side may speak HTTP/2; the version belongs to the connection, not to the request.
        parts.version = Version::HTTP_11;
        let address = headers::asking(parts, gate.auth.policy().limits.proxies);
        parts.extensions.clear();
        let request_id = parts.headers.remove(REQUEST_ID);
        headers::strip_request(&mut parts.headers);
        if let Some(ours) = request_id {
            parts.headers.insert(REQUEST_ID, ours);
        }
        session::put(session, &mut parts.headers);
        headers::put_forwarded(&mut parts.headers, address, &gate.proto, &gate.host);
        let identified = gate.auth.identified(caller, &gate.resource, &gate.url);
        let identified = identified.map_err(|_| Stopped::NotMinted)?;
        for (name, value) in &identified.headers {
            parts.headers.insert(name, value.clone());
        }
        Ok(())
    }

    async fn sent(&self, request: Request, body: &Ending) -> Result<hyper::Response<Incoming>, Stopped> {
        let Self(gate) = self;
        let began = gate.auth.elapsed();
        let patience = gate.resource.forwarding.first_byte_timeout;
        let answered = tokio::time::timeout(patience, gate.upstream.request(request)).await;
        gate.seconds().record(gate.auth.elapsed().saturating_sub(began));
        match (answered, body.get()) {
            (Ok(Ok(response)), _) => Ok(response),
            (_, Some(Err(fault))) => Err(fault.into()),
            (Err(_), None) if body.waits() => Err(Stopped::BodySlow),
            (Err(_), _) => {
                self.tell_of_silence(patience);
                Err(Stopped::UpstreamSlow)
            }
            (Ok(Err(error)), _) => {
                self.tell_of_trouble(&error);
                Err(Stopped::UpstreamUnreachable)
            }
        }
    }

    /// Refuses an answer that the client would misread.
    fn judged(&self, response: &hyper::Response<Incoming>, credential: &Credential) -> Result<(), Stopped> {
        match response.status() {
            // Ours to solve: a client would take it for its own login and begin again.
            StatusCode::UNAUTHORIZED => {
                self.tell_of_our_refusal(response.headers());
                Err(Stopped::UpstreamRefusesUs)
            }
            // It knows better than our rules what it needs.
            StatusCode::FORBIDDEN => match headers::scopes_needed(response.headers(), &self.0.resource) {
                // Who has them all already would ask for the same again.
                Some(needed) if !needed.iter().all(|scope| credential.scopes().contains(scope)) => {
                    Err(Stopped::Scope(credential.scopes().iter().chain(needed.iter()).collect()))
                }
                _ => Ok(()),
            },
            // Its address is no business of the client's, and the body is spent.
            status if status.is_redirection() && status != StatusCode::NOT_MODIFIED => {
                self.tell_of_a_redirect(status, response.headers());
                Err(Stopped::UpstreamRedirects)
            }
            // A final answer is none of these: the connection, which others share, would not be what it seems.
            status if status.is_informational() || status.as_u16() > 599 => {
                self.tell_of_no_answer(status);
                Err(Stopped::UpstreamUnreachable)
            }
            _ => Ok(()),
        }
    }

    /// Leaves what may come down of an answer, and says whether it is a stream of events.
    fn describe(&self, parts: &mut response::Parts) -> bool {
        parts.extensions.clear();
        // The upstream's version is a matter between it and us.
        parts.version = Version::HTTP_11;
        headers::strip_response(&mut parts.headers);
        let events = headers::is_event_stream(&parts.headers);
        if events {
            parts.headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        }
        events
    }
}

/// A request that its caller may make.
struct Permitted {
    body: Body,
    ending: Ending,
    caller: Caller,
}

fn fallen(credential: &Credential, reason: Reason) -> Stopped {
    Stopped::Caller(credential.not_verified(reason))
}
