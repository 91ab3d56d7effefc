//! kill -9 while people sign in and clients refresh: what was answered holds, and who was answered goes on.

use std::sync::atomic::AtomicBool;

use entrada::demo::idp::Person;
use futures_util::future::join_all;
use serde_json::Value;

use crate::support::entrada::TENANT;
use crate::support::load::Answered;
use crate::support::load::Load;
use crate::support::program::PATIENCE;
use crate::support::program::Site;

const ROUNDS: usize = 3;
/// At work at the same time.
const CLIENTS: usize = 8;
/// The program dies when so many answers of a round have arrived; all clients go on until then.
const ANSWERS: usize = 60;

#[tokio::test]
async fn what_was_answered_outlives_kill_9_in_the_midst_of_sign_ins_and_refreshes() {
    let site = Site::new().await;
    // A slow machine has its time: what is tested here is not how long a code lives.
    let settings = site.settings().replace("[tokens]", "[tokens]\ncode = \"10m\"");
    let mut held: Vec<Value> = Vec::new();
    for _ in 0..ROUNDS {
        let program = site.start_with(&settings).await;
        let load = Load::new(&site).await;
        let mut answers = load.answers.subscribe();
        let stopped = AtomicBool::new(false);
        let killing = async {
            let enough = answers.wait_for(|count| *count >= ANSWERS);
            tokio::time::timeout(PATIENCE, enough).await.expect("answers keep coming").unwrap();
            program.kill()
        };
        let (answered, killed) = tokio::join!(join_all((0..CLIENTS).map(|_| load.work(&stopped))), killing);
        assert_eq!(killed, Some(9), "it died of something else");
        site.settled().await;

        let program = site.start_with(&settings).await;
        let answered = answered.into_iter().flatten().chain(held.drain(..).map(Answered::Tokens));
        held = join_all(answered.map(|answered| load.goes_on(answered))).await;
        assert!(held.len() > CLIENTS, "too few sign-ins: {}", held.len());
        let ada = format!("{TENANT}:{}", Person::three(TENANT)[0].oid);
        let listed = site.grant(&["list", "--user", &ada]).await;
        let active = listed.stdout.lines().filter(|row| row.contains(" active ")).count();
        assert!(active >= held.len(), "{active} of {}", held.len());
        drop(program);
        site.settled().await;
    }
    let arrived = site.tools.arrived();
    assert!(arrived.len() >= held.len() && arrived.iter().all(|arrived| arrived.claims.is_some()));
}
