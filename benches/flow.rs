//! What the flows cost, on the embedded store and with an identity provider that answers at once:
//! registering, signing a token, verifying one at the gateway, redeeming codes.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "time is what is measured")]

mod server;

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;
use entrada::domain::access_token::UnverifiedClaims;
use entrada::domain::policy::Policy;
use entrada::domain::signing::SigningAlg;
use entrada::domain::time::Timestamp;
use entrada::ports::clock::Clock;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::server::Server;
use crate::server::metadata;

const ALGORITHMS: [SigningAlg; 2] = [SigningAlg::RS256, SigningAlg::ES256];
const CALLERS: [u64; 2] = [1, 64];
const ISSUER: &str = "https://mcp.example.com";

/// Nothing expires while it is measured.
struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_795_392_000)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

fn policy(alg: SigningAlg) -> Policy {
    server::policy(ISSUER, alg, server::resource(ISSUER))
}

/// How long `callers` need to redeem `each` codes each. Signing in before is not counted.
async fn redeem(bench: Arc<Server>, callers: u64, each: u64) -> Duration {
    let mut sign_ins = JoinSet::new();
    for _ in 0..callers {
        let bench = Arc::clone(&bench);
        sign_ins.spawn(async move {
            let mut forms = Vec::new();
            for _ in 0..each {
                forms.push(bench.redemption().await);
            }
            forms
        });
    }
    let forms = sign_ins.join_all().await;
    let begin = Instant::now();
    let mut redemptions = JoinSet::new();
    for forms in forms {
        let bench = Arc::clone(&bench);
        redemptions.spawn(async move {
            for form in &forms {
                bench.redeem(form).await;
            }
        });
    }
    redemptions.join_all().await;
    begin.elapsed()
}

fn flow(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    for alg in ALGORITHMS {
        let bench = Arc::new(runtime.block_on(Server::open(policy(alg), Arc::new(StandingClock))));
        let token = runtime.block_on(async { bench.redeem(&bench.redemption().await).await });
        let signing = bench.auth.signing_keys();
        let claims: UnverifiedClaims = signing.verify(&token, StandingClock.now()).unwrap();

        let mut group = criterion.benchmark_group("flow");
        if alg == ALGORITHMS[0] {
            group
                .bench_function("register", |bencher| bencher.iter(|| bench.auth.register(&metadata()).ok()));
        }
        group.bench_function(BenchmarkId::new("mint", format!("{alg:?}")), |bencher| {
            bencher.iter(|| signing.active(StandingClock.now()).sign(&claims).unwrap());
        });
        group.bench_function(BenchmarkId::new("verify", format!("{alg:?}")), |bencher| {
            let bencher = &mut bencher.to_async(&runtime);
            bencher.iter(|| async { bench.auth.verify(&token, bench.resource()).await.unwrap() });
        });
        group.finish();

        let mut group = criterion.benchmark_group(format!("redeem/{alg:?}"));
        for callers in CALLERS {
            group.throughput(Throughput::Elements(callers));
            group.bench_function(BenchmarkId::from_parameter(callers), |bencher| {
                let bencher = &mut bencher.to_async(&runtime);
                bencher.iter_custom(|each| redeem(Arc::clone(&bench), callers, each));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, flow);
criterion_main!(benches);
