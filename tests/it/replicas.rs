//! Replicas that come to each other's aid and get into each other's way: one grant, whoever holds it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use entrada::demo::idp::Reply;
use entrada::domain::document::Document;
use entrada::domain::event::EventName;
use entrada::domain::policy::Lifetimes;
use entrada::ports::clock::Clock;
use entrada::ports::store::Listing;
use futures_util::future::join_all;

use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::entrada::resource;
use crate::support::race::Course;
use crate::support::race::Raced;
use crate::support::upstream::Upstream;

async fn on_course(setup: Setup) -> (Entrada, Arc<Course>) {
    let course = Arc::new(Course::default());
    let there = Arc::clone(&course);
    let decorate = move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _;
    (Entrada::with(Setup { decorate: Box::new(decorate), ..setup }).await, course)
}

/// With a provider that rotates its refresh tokens and takes a second use of one for theft.
fn rotating() -> Setup {
    Setup { oidc: true, ..Setup::default() }
}

fn strict() -> Setup {
    let lifetimes = Lifetimes { grace: Duration::ZERO, ..Setup::default().lifetimes };
    Setup { lifetimes, ..Setup::default() }
}

async fn refresh_at(entrada: &Entrada, router: &Router, client: &Client, token: &str) -> Answer {
    let form = client.refresh_form(token);
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    entrada.send_to(router, form_request("/token", &form)).await
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.error())
}

/// The document of the only grant.
async fn only_grant(entrada: &Entrada) -> Document {
    let mut found = entrada.store.list(Listing::Prefix("g."), None, 2).await.unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0).document
}

/// The store has lost what it was told since then.
async fn put_back(entrada: &Entrada, document: &Document) {
    let stored = entrada.store.read(&document.key).await.unwrap().unwrap();
    entrada.store.replace(document.clone(), &stored.version).await.unwrap();
}

#[tokio::test]
async fn of_60_refreshes_on_three_replicas_one_asks_a_provider_that_rotates() {
    let (entrada, course) = on_course(rotating()).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.advance(301);
    let replicas = join_all((0..3).map(|_| entrada.replica())).await;
    // One of each replica reads before any of them asks; the others wait for it.
    course.gather(3);
    let racers = (0..60).map(|n| refresh_at(&entrada, &replicas[n % 3], &client, &tokens.refresh));
    let answers = join_all(racers).await;
    let successors: HashSet<String> = answers.iter().map(|answer| Tokens::of(answer).refresh).collect();
    assert_eq!(successors.len(), 1);
    assert_eq!(entrada.upstream_refreshes(), 1);
    assert_eq!(entrada.events.count(EventName::TokenRefreshed), 1);
    entrada.advance(301);
    Tokens::of(&client.refresh(&entrada, successors.iter().next().unwrap()).await);
}

/// While one asks a provider that rotates, nobody else does, however long it takes.
#[tokio::test]
async fn while_one_asks_the_others_look_again_and_do_not_ask() {
    let (entrada, course) = on_course(rotating()).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.advance(301);
    let (asking, other) = (entrada.replica().await, entrada.replica().await);
    entrada.script.token_endpoint_hangs();
    let asked = entrada.upstream_refreshes();
    let mut first = Box::pin(refresh_at(&entrada, &asking, &client, &tokens.refresh));
    while entrada.upstream_refreshes() == asked {
        tokio::select! {
            _ = &mut first => panic!("the provider does not answer"),
            () = tokio::task::yield_now() => {}
        }
    }
    course.counts();
    let mut second = Box::pin(refresh_at(&entrada, &other, &client, &tokens.refresh));
    let mut looks = 0;
    while looks < 3 {
        tokio::select! {
            _ = &mut first => panic!("the provider does not answer"),
            _ = &mut second => panic!("it does not wait"),
            () = tokio::task::yield_now() => {}
        }
        looks += course.counts().0;
    }
    assert_eq!(entrada.upstream_refreshes(), asked + 1);
}

/// A lease ends with what it was for.
#[tokio::test]
async fn the_next_refresh_waits_for_nobody() {
    let lifetimes = Lifetimes { recheck: Duration::ZERO, ..Setup::default().lifetimes };
    let (entrada, course) = on_course(Setup { lifetimes, ..rotating() }).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let second = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    let other = entrada.replica().await;
    course.counts();
    Tokens::of(&refresh_at(&entrada, &other, &client, &second.refresh).await);
    // The blocks, the grant; the lease, the successor.
    assert_eq!(course.counts(), (2, 2), "it looked again");
}

/// A replica takes the lease, and is gone before it could give it back.
async fn dies_asking(entrada: &Entrada, course: &Course, client: &Client, tokens: &Tokens) {
    let dying = entrada.replica().await;
    entrada.script.token_endpoint_says(Reply::down());
    // The first write takes it.
    course.fail_write(2);
    assert_eq!(refresh_at(entrada, &dying, client, &tokens.refresh).await.status, 503);
    assert!(course.has_failed());
    entrada.script.honest();
}

/// A replica that dies while it asks leaves its lease behind: the others wait for it no longer than it may take.
#[tokio::test]
async fn the_lease_of_a_replica_that_has_died_is_taken_over_and_its_late_answer_changes_nothing() {
    let (entrada, course) = on_course(rotating()).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.advance(301);
    let other = entrada.replica().await;
    dies_asking(&entrada, &course, &client, &tokens).await;
    let held = only_grant(&entrada).await;

    // The other one watches it from now on, whatever the clocks say.
    let watching = refresh_at(&entrada, &other, &client, &tokens.refresh);
    let mut watching = Box::pin(watching);
    course.counts();
    let begun = entrada.clock.elapsed();
    let taken = loop {
        tokio::select! {
            taken = &mut watching => break taken,
            () = tokio::task::yield_now() => {}
        }
        // Four seconds between two looks: it takes it over at the fourth.
        if course.counts().0 > 0 {
            entrada.advance(4);
        }
    };
    assert!(entrada.clock.elapsed() - begun >= Duration::from_secs(16), "it did not wait");
    let taken = Tokens::of(&taken);
    let after = only_grant(&entrada).await;
    assert_eq!((after.generation, after.state), (held.generation + 1, held.state));
    // What the first would have written names the version that its lease made.
    entrada.advance(301);
    Tokens::of(&refresh_at(&entrada, &other, &client, &taken.refresh).await);
}

/// A lease that is over by any clock is not waited for.
#[tokio::test]
async fn an_old_lease_is_taken_over_at_once() {
    let (entrada, course) = on_course(rotating()).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.advance(301);
    let other = entrada.replica().await;
    dies_asking(&entrada, &course, &client, &tokens).await;
    entrada.advance(40);
    Tokens::of(&refresh_at(&entrada, &other, &client, &tokens.refresh).await);
}

#[tokio::test]
async fn trouble_at_a_provider_that_rotates_gives_the_lease_back() {
    let (entrada, _course) = on_course(rotating()).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.advance(301);
    entrada.script.token_endpoint_says(Reply::down());
    let away = (503, "temporarily_unavailable".to_owned());
    assert_eq!(refused(&client.refresh(&entrada, &tokens.refresh).await), away);
    entrada.script.honest();
    let other = entrada.replica().await;
    Tokens::of(&refresh_at(&entrada, &other, &client, &tokens.refresh).await);
}

/// The client was told that the store is away, and comes again with the same code: it is its own, and it gets the
/// tokens, once.
#[tokio::test]
async fn a_code_whose_redemption_was_never_answered_is_answered_once() {
    let (entrada, course) = on_course(Setup::default()).await;
    let client = Client::register(&entrada).await;
    let code = client.code(&entrada).await;
    course.lose_answers(1);
    let away = (503, "temporarily_unavailable".to_owned());
    assert_eq!(refused(&client.redeem(&entrada, &code).await), away);
    let tokens = Tokens::of(&client.redeem(&entrada, &code).await);
    assert_eq!(refused(&client.redeem(&entrada, &code).await), (400, "invalid_grant".to_owned()));
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_eq!(entrada.events.count(EventName::CodeRedeemed), 1);
}

/// Another replica cannot tell that nobody was answered.
#[tokio::test]
async fn a_code_whose_redemption_was_never_answered_is_spent_for_everybody_else() {
    let (entrada, course) = on_course(Setup::default()).await;
    let client = Client::register(&entrada).await;
    let code = client.code(&entrada).await;
    let other = entrada.replica().await;
    course.lose_answers(1);
    client.redeem(&entrada, &code).await;
    let form = client.redeem_form(&code);
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let answer = entrada.send_to(&other, form_request("/token", &form)).await;
    assert_eq!(refused(&answer), (400, "invalid_grant".to_owned()));
    assert_eq!(entrada.events.count(EventName::GrantRevoked), 0);
}

#[tokio::test]
async fn a_refresh_that_was_never_answered_is_answered_once_without_a_grace_too() {
    let (entrada, course) = on_course(strict()).await;
    let client = Client::register(&entrada).await;
    let first = client.tokens(&entrada).await;
    course.lose_answers(1);
    let away = (503, "temporarily_unavailable".to_owned());
    assert_eq!(refused(&client.refresh(&entrada, &first.refresh).await), away);
    let second = Tokens::of(&client.refresh(&entrada, &first.refresh).await);
    let third = Tokens::of(&client.refresh(&entrada, &second.refresh).await);
    assert_eq!(refused(&client.refresh(&entrada, &first.refresh).await), (400, "invalid_grant".to_owned()));
    assert_eq!(refused(&client.refresh(&entrada, &third.refresh).await), (400, "invalid_grant".to_owned()));
}

/// What was never answered is the refresh. An old code with full proof is a copy all the same.
#[tokio::test]
async fn an_unanswered_refresh_makes_no_old_code_good() {
    let (entrada, course) = on_course(Setup::default()).await;
    let client = Client::register(&entrada).await;
    let code = client.code(&entrada).await;
    let first = Tokens::of(&client.redeem(&entrada, &code).await);
    entrada.advance(11);
    course.lose_answers(1);
    assert_eq!(client.refresh(&entrada, &first.refresh).await.status, 503);
    assert_eq!(refused(&client.redeem(&entrada, &code).await), (400, "invalid_grant".to_owned()));
    assert_eq!(entrada.events.reasons(EventName::GrantRevoked), ["code_replayed"]);
}

/// The write region failed over, or a backup was put back: what the client holds is ours all the same.
#[tokio::test]
async fn a_store_that_has_lost_its_last_writes_logs_nobody_out() {
    let upstream = Upstream::start().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    let entrada = Entrada::with(Setup { resources, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let code = client.code(&entrada).await;
    let pending = only_grant(&entrada).await;
    let first = Tokens::of(&client.redeem(&entrada, &code).await);
    let active = only_grant(&entrada).await;
    let second = Tokens::of(&client.refresh(&entrada, &first.refresh).await);
    let third = Tokens::of(&client.refresh(&entrada, &second.refresh).await);

    put_back(&entrada, &active).await;
    let fourth = Tokens::of(&client.refresh(&entrada, &third.refresh).await);
    assert_eq!(only_grant(&entrada).await.generation, 3);
    assert_eq!(entrada.events.count(EventName::TokenAhead), 1);
    // From here on all is as ever: what is older is a copy.
    let again = Tokens::of(&client.refresh(&entrada, &third.refresh).await);
    assert_eq!(again.refresh, fourth.refresh);

    put_back(&entrada, &pending).await;
    let replica = entrada.replica().await;
    let request = Request::post("/mcp").header("authorization", format!("Bearer {}", fourth.access));
    let answer = entrada.send_to(&replica, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200, "never 401 for a good token");
    let fifth = Tokens::of(&client.refresh(&entrada, &fourth.refresh).await);
    assert_eq!(only_grant(&entrada).await.generation, 4);
    assert_eq!(refused(&client.redeem(&entrada, &code).await), (400, "invalid_grant".to_owned()));
    Tokens::of(&client.refresh(&entrada, &fifth.refresh).await);
}

/// Nobody's token is newer than the store's but one that we issued.
#[tokio::test]
async fn a_revoked_grant_is_not_revived_by_a_newer_token() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let first = client.tokens(&entrada).await;
    let revoked = {
        entrada.post_form("/revoke", &[("client_id", &client.id), ("token", &first.refresh)]).await;
        only_grant(&entrada).await
    };
    assert_eq!(refused(&client.refresh(&entrada, &first.refresh).await), (400, "invalid_grant".to_owned()));
    assert_eq!(only_grant(&entrada).await, revoked);
}
