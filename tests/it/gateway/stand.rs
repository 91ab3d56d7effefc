//! An Entrada before one upstream, and a client that has signed in.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;

use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;
use crate::support::race::Course;
use crate::support::race::Raced;
use crate::support::upstream::Upstream;
use entrada::domain::resource::Resource;

pub struct Stand {
    pub entrada: Entrada,
    pub upstream: Upstream,
    pub course: Arc<Course>,
    pub client: Client,
    pub tokens: Tokens,
}

impl Stand {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With a resource that is changed first.
    pub async fn with(change: impl FnOnce(&mut Resource)) -> Self {
        Self::in_setup(Setup::default(), change).await
    }

    /// In a setup of its own, with a resource that is changed first.
    pub async fn in_setup(setup: Setup, change: impl FnOnce(&mut Resource)) -> Self {
        let upstream = Upstream::start().await;
        let mut resource = resource(ISSUER, "/mcp", Some(upstream.url.clone()));
        change(&mut resource);
        let course = Arc::new(Course::default());
        let there = Arc::clone(&course);
        let decorate = Box::new(move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _);
        let setup = Setup { resources: vec![resource], decorate, ..setup };
        let entrada = Entrada::with(setup).await;
        let client = Client::register(&entrada).await;
        let tokens = client.tokens(&entrada).await;
        Self { entrada, upstream, course, client, tokens }
    }

    pub async fn call(&self) -> Answer {
        self.call_with(&self.tokens.access, "/mcp", &[]).await
    }

    pub async fn call_with(&self, token: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.post(token, target, headers, "{\"jsonrpc\":\"2.0\"}").await
    }

    pub async fn post(
        &self,
        token: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::post(target).header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.entrada.send(request.body(body.into()).unwrap()).await
    }
}
