//! The gateway, and a proxy that does nothing but pass on what it gets.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use entrada::adapters::system::SystemClock;
use entrada::app;
use entrada::app::accept::FIRST_REQUEST;
use entrada::app::accept::accept;
use entrada::app::upstreams::upstreams;
use entrada::domain::forwarding::Forwarding;
use entrada::domain::limits::Limits;
use entrada::domain::limits::Rate;
use entrada::domain::policy::Policy;
use entrada::domain::resource::Resource;
use entrada::domain::resource::Resources;
use entrada::domain::signing::SigningAlg;
use entrada::gateway::Upstreams;
use tokio::net::TcpListener;
use tokio::sync::watch;
use url::Url;

use crate::server;
use crate::server::Server;

/// Calls between two looks at the clock.
const CALLS: u32 = 1_000;

/// Serves as `entrada serve` does, in front of the server at `upstream`. Prints where, and the token of somebody who has
/// signed in.
pub async fn gateway(upstream: &str, http2: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::open(policy(&issuer, upstream, http2), Arc::new(SystemClock::new())).await;
    let token = server.redeem(&server.redemption().await).await;
    let router = app::router(&server.auth, &clients(&server.auth.policy().resources));
    println!("{}\n{token}", listener.local_addr().unwrap());
    serve(listener, router).await;
}

/// Passes requests on to the server at `upstream`, by the same client and behind the same connections, and changes only
/// their address. Prints where.
pub async fn plain(upstream: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resource = forwarded(upstream, "http://127.0.0.1", false);
    let url = resource.upstream.clone().unwrap();
    let client = clients(&Resources::new(vec![resource], None)).remove("/mcp").unwrap();
    let router = Router::new().fallback(async move |mut request: Request| {
        *request.uri_mut() = url.as_str().parse().unwrap();
        client.request(request).await.unwrap().map(Body::new)
    });
    println!("{}", listener.local_addr().unwrap());
    serve(listener, router).await;
}

/// Verifies one token over and over, and prints the microseconds of each time.
pub async fn verify(seconds: u64) {
    let issuer = "http://127.0.0.1";
    let server = Server::open(policy(issuer, "127.0.0.1:1", false), Arc::new(SystemClock::new())).await;
    let token = server.redeem(&server.redemption().await).await;
    let (began, time) = (Instant::now(), Duration::from_secs(seconds));
    let mut calls = 0;
    while began.elapsed() < time {
        for _ in 0..CALLS {
            server.auth.verify(&token, server.resource()).await.unwrap();
        }
        calls += CALLS;
    }
    println!("{}", began.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
}

async fn serve(listener: TcpListener, router: Router) {
    let (_word, stopped) = watch::channel(false);
    accept(listener, router, FIRST_REQUEST, stopped).await;
}

fn clients(resources: &Resources) -> Upstreams {
    upstreams(resources).ok().unwrap()
}

fn forwarded(upstream: &str, issuer: &str, http2: bool) -> Resource {
    let upstream = Url::parse(&format!("http://{upstream}/mcp")).unwrap();
    let forwarding = Forwarding { http2, ..Forwarding::default() };
    Resource { upstream: Some(upstream), forwarding, ..server::resource(issuer) }
}

/// The defaults, with limits that count and let everything through.
fn policy(issuer: &str, upstream: &str, http2: bool) -> Policy {
    let count = NonZeroU32::new(1_000_000).unwrap();
    let rate = Some(Rate { count, period: Duration::from_secs(1) });
    let limits =
        Limits { per_address: rate, per_user: rate, per_client: rate, open_per_user: 100_000, proxies: 0 };
    Policy { limits, ..server::policy(issuer, SigningAlg::RS256, forwarded(upstream, issuer, http2)) }
}
