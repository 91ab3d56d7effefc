//! Three programs on one store: any of them does for any request.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use entrada::adapters::system::SystemClock;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;

use crate::support::cosmos::HostedCosmos;
use crate::support::cosmos::KEY;
use crate::support::load::Answered;
use crate::support::load::Load;
use crate::support::program::PATIENCE;
use crate::support::program::Program;
use crate::support::program::Site;

const RACERS: usize = 60;
/// At work at the same time.
const CLIENTS: usize = 6;

/// What replicas share.
struct Fleet {
    site: Site,
    cosmos: HostedCosmos,
    settings: String,
}

impl Fleet {
    async fn new() -> Self {
        let site = Site::new().await;
        site.vigil.never(KEY);
        let cosmos = HostedCosmos::ready(Arc::new(SystemClock::new())).await;
        // A slow machine has its time: what is tested here is not how long a code lives.
        let settings = site.settings().replace("[tokens]", "[tokens]\ncode = \"10m\"");
        let settings = settings + &cosmos.section(&format!("credential = \"key\"\nkey = \"{KEY}\""));
        site.init_keys(&settings, &[]).await;
        Self { site, cosmos, settings }
    }

    async fn replica(&self) -> Program {
        self.site.start_with(&self.settings).await
    }

    async fn three(&self) -> [Program; 3] {
        let three = [self.replica().await, self.replica().await, self.replica().await];
        self.site.leads_to(&[&three[0], &three[1], &three[2]]);
        three
    }

    /// `entrada`, which opens the store itself.
    async fn command(&self, arguments: &[&str]) -> String {
        let file = self.site.write(&self.settings);
        let ended = self.site.run(&[arguments, &["--config", file.to_str().unwrap()]].concat()).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    }
}

/// How often each event was recorded by each program.
fn recorded(programs: &[Program], event: &str) -> Vec<usize> {
    let count = |program: &Program| program.log().iter().filter(|line| line["event"] == event).count();
    programs.iter().map(count).collect()
}

#[tokio::test]
async fn a_login_goes_from_replica_to_replica() {
    let fleet = Fleet::new().await;
    let three = fleet.three().await;
    let load = Load::new(&fleet.site).await;
    // Registration came to the first; so the second shows consent, the third takes it, and so on.
    let code = load.sign_in().await.unwrap();
    let (status, tokens) = load.redeem(&code).await.unwrap();
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(recorded(&three, "client.registered"), [1, 0, 0]);
    assert_eq!(recorded(&three, "consent.shown"), [0, 1, 0]);
    assert_eq!(recorded(&three, "consent.approved"), [0, 0, 1]);
    assert_eq!(recorded(&three, "signin.completed"), [1, 0, 0]);
    assert_eq!(recorded(&three, "code.redeemed"), [0, 1, 0]);
    load.goes_on(Answered::Tokens(tokens)).await;
    assert_eq!(recorded(&three, "token.refreshed"), [0, 0, 1]);
}

fn successes(answers: &[(StatusCode, Value)]) -> Vec<&Value> {
    answers.iter().filter(|(status, _)| *status == 200).map(|(_, body)| body).collect()
}

#[tokio::test]
async fn of_60_requests_at_three_replicas_one_redeems_and_one_refreshes() {
    let fleet = Fleet::new().await;
    let three = fleet.three().await;
    let load = Load::new(&fleet.site).await;
    let code = load.sign_in().await.unwrap();
    let answers = join_all((0..RACERS).map(|_| async { load.redeem(&code).await.unwrap() })).await;
    let won = successes(&answers);
    assert_eq!(won.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|(status, body)| *status == 200 || body["error"] == "invalid_grant"));
    assert_eq!(recorded(&three, "grant.revoked"), [0, 0, 0]);

    let tokens = won[0];
    let answers = join_all((0..RACERS).map(|_| async { load.refresh(tokens).await.unwrap() })).await;
    let won = successes(&answers);
    assert_eq!(won.len(), RACERS, "{answers:?}");
    assert!(won.iter().all(|body| body["refresh_token"] == won[0]["refresh_token"]));
    assert_eq!(recorded(&three, "token.refreshed").iter().sum::<usize>(), 1);
    load.goes_on(Answered::Tokens(won[0].clone())).await;
}

#[tokio::test]
async fn kill_9_of_one_under_load_loses_nothing_that_was_answered() {
    let fleet = Fleet::new().await;
    let [first, second, dying] = fleet.three().await;
    let load = Load::new(&fleet.site).await;
    let mut answers = load.answers.subscribe();
    let stopped = AtomicBool::new(false);
    let killing = async {
        let enough = answers.wait_for(|count| *count >= 40);
        tokio::time::timeout(PATIENCE, enough).await.expect("answers keep coming").unwrap();
        fleet.site.leads_to(&[&first, &second]);
        let killed = dying.kill();
        stopped.store(true, Ordering::Relaxed);
        killed
    };
    let (answered, killed) = tokio::join!(join_all((0..CLIENTS).map(|_| load.work(&stopped))), killing);
    assert_eq!(killed, Some(9), "it died of something else");
    let answered: Vec<Answered> = answered.into_iter().flatten().collect();
    assert!(answered.len() > CLIENTS, "too few sign-ins: {}", answered.len());
    join_all(answered.into_iter().map(|answered| load.goes_on(answered))).await;
}

#[tokio::test]
async fn a_rolling_restart_of_all_three_logs_nobody_out() {
    let fleet = Fleet::new().await;
    let mut running: Vec<Program> = fleet.three().await.into();
    let load = Load::new(&fleet.site).await;
    let stopped = AtomicBool::new(false);
    let restarting = async {
        for _ in 0..3 {
            // As an orchestrator does: no new connections, then the signal, then the next.
            let leaving = running.remove(0);
            fleet.site.leads_to(&[&running[0], &running[1]]);
            assert_eq!(leaving.stop().await.code, Some(0));
            running.push(fleet.replica().await);
            fleet.site.leads_to(&[&running[0], &running[1], &running[2]]);
        }
        stopped.store(true, Ordering::Relaxed);
    };
    let (answered, ()) = tokio::join!(join_all((0..CLIENTS).map(|_| load.work(&stopped))), restarting);
    let answered: Vec<Answered> = answered.into_iter().flatten().collect();
    assert!(answered.len() > CLIENTS, "too few sign-ins: {}", answered.len());
    join_all(answered.into_iter().map(|answered| load.goes_on(answered))).await;
}

/// Liveness and metadata need no store; the rest comes when the store does.
#[tokio::test]
async fn it_starts_without_its_store_and_is_ready_when_that_answers() {
    let fleet = Fleet::new().await;
    fleet.cosmos.reachable(false);
    let program = fleet.replica().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let status = async |path: &str| {
        let answer = http.get(format!("http://{}{path}", program.address)).send().await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!(status("/healthz/live").await, 200);
    assert_eq!(status("/.well-known/oauth-authorization-server").await, 200);
    assert_eq!(status("/healthz/ready").await, 503);
    assert_eq!(status("/.well-known/jwks.json").await, 503);
    fleet.cosmos.reachable(true);
    program.logged("message", "the store answers and its keys are known: everything is served").await;
    assert_eq!(status("/healthz/ready").await, 200);
    let load = Load::new(&fleet.site).await;
    let code = load.sign_in().await.unwrap();
    load.goes_on(Answered::Code(code)).await;
}

#[tokio::test]
async fn commands_open_the_store_themselves() {
    let fleet = Fleet::new().await;
    let _three = fleet.three().await;
    let load = Load::new(&fleet.site).await;
    let code = load.sign_in().await.unwrap();
    let (_, tokens) = load.redeem(&code).await.unwrap();
    assert!(fleet.command(&["grant", "list"]).await.contains(" active "));
    assert!(fleet.command(&["keys", "list"]).await.contains("  ES256  signing "));
    assert!(fleet.command(&["client", "list"]).await.contains("Load"));
    assert!(fleet.command(&["grant", "revoke", "--all"]).await.contains("1 ended."));
    let (status, body) = load.refresh(&tokens).await.unwrap();
    assert_eq!((status.as_u16(), &body["error"]), (400, &Value::from("invalid_grant")));
}
