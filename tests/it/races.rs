//! Who may win: one, always the same, on one replica or on many. Each race is run once more without
//! the guard that decides it, to see that it would be noticed.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use entrada::domain::event::EventName;
use entrada::flows::administer::Selection;
use futures_util::future::join_all;
use url::Url;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::client::code_of;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::race::Course;
use crate::support::race::Raced;

const RACERS: usize = 32;

async fn on_course() -> (Entrada, Arc<Course>) {
    let course = Arc::new(Course::default());
    let there = Arc::clone(&course);
    let decorate = move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _;
    (Entrada::with(Setup { decorate: Box::new(decorate), ..Setup::default() }).await, course)
}

/// Sends the same form to `/token` of each router at once.
async fn race(entrada: &Entrada, routers: &[Router], form: &[(String, String)]) -> Vec<Answer> {
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    join_all(routers.iter().map(|router| entrada.send_to(router, form_request("/token", &form)))).await
}

fn winners(answers: &[Answer]) -> Vec<Tokens> {
    answers.iter().filter(|answer| answer.status == 200).map(Tokens::of).collect()
}

async fn redemptions(guarded: bool) -> (Entrada, Client, Vec<Answer>) {
    let (entrada, course) = on_course().await;
    let client = Client::register(&entrada).await;
    let code = client.code(&entrada).await;
    if !guarded {
        course.unguarded();
    }
    course.gather(RACERS);
    let routers = vec![entrada.router.clone(); RACERS];
    let answers = race(&entrada, &routers, &client.redeem_form(&code)).await;
    (entrada, client, answers)
}

#[tokio::test]
async fn of_32_redemptions_of_one_code_one_wins_and_nobody_is_revoked() {
    let (entrada, client, answers) = redemptions(true).await;
    let winners = winners(&answers);
    assert_eq!(winners.len(), 1);
    let losers: HashSet<String> = answers.iter().filter(|a| a.status != 200).map(Answer::error).collect();
    assert_eq!(losers, HashSet::from(["invalid_grant".to_owned()]));
    assert_eq!(entrada.events.count(EventName::GrantRevoked), 0);
    Tokens::of(&client.refresh(&entrada, &winners[0].refresh).await);
}

#[tokio::test]
async fn without_the_comparison_more_than_one_redemption_would_win() {
    let (_entrada, _, answers) = redemptions(false).await;
    assert!(winners(&answers).len() > 1);
}

#[tokio::test]
async fn of_32_refreshes_every_success_carries_one_successor_and_the_provider_is_asked_once() {
    let (entrada, _course) = on_course().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.advance(301);
    let routers = vec![entrada.router.clone(); RACERS];
    let answers = race(&entrada, &routers, &client.refresh_form(&tokens.refresh)).await;
    let winners = winners(&answers);
    assert_eq!(winners.len(), RACERS);
    let successors: HashSet<&str> = winners.iter().map(|tokens| tokens.refresh.as_str()).collect();
    assert_eq!(successors.len(), 1);
    assert_eq!(entrada.upstream_refreshes(), 1);
    assert_eq!(entrada.events.count(EventName::TokenRefreshed), 1);
    assert_eq!(entrada.events.count(EventName::TokenRepeated), RACERS - 1);
    Tokens::of(&client.refresh(&entrada, successors.iter().next().unwrap()).await);
}

/// 32 replicas, each of which has read the grant before any of them writes.
async fn replicas_that_refresh(guarded: bool) -> (Entrada, Vec<Tokens>) {
    let (entrada, course) = on_course().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.advance(301);
    let routers = join_all((0..RACERS).map(|_| entrada.replica())).await;
    if !guarded {
        course.unguarded();
    }
    course.gather(RACERS);
    let answers = race(&entrada, &routers, &client.refresh_form(&tokens.refresh)).await;
    (entrada, winners(&answers))
}

#[tokio::test]
async fn of_32_replicas_that_refresh_at_once_one_swaps_and_all_carry_its_successor() {
    let (entrada, winners) = replicas_that_refresh(true).await;
    assert_eq!(winners.len(), RACERS);
    let successors: HashSet<&str> = winners.iter().map(|tokens| tokens.refresh.as_str()).collect();
    assert_eq!(successors.len(), 1);
    assert_eq!(entrada.events.count(EventName::TokenRefreshed), 1, "one swap won");
    // Nothing waits its turn across processes: this is what the single flight of one process spares.
    assert_eq!(entrada.upstream_refreshes(), RACERS);
}

#[tokio::test]
async fn without_the_comparison_every_replica_would_swap() {
    let (entrada, _) = replicas_that_refresh(false).await;
    assert_eq!(entrada.events.count(EventName::TokenRefreshed), RACERS);
}

/// The callbacks of a login that its user approved twice.
async fn approved_twice(entrada: &Entrada, client: &Client, browser: &mut Browser) -> Vec<Url> {
    let page = browser.open(entrada, &client.authorize(&[])).await;
    let mut callbacks = Vec::new();
    for _ in 0..2 {
        let approved = browser.decide(entrada, &page, "approve").await;
        callbacks.push(browser.at_idp(entrada, &approved.location()).await);
    }
    callbacks
}

/// Two callbacks of one login, each with an answer of the identity provider of its own (the user
/// pressed Allow twice); the code is redeemed in between.
async fn two_callbacks(guarded: bool) -> (Entrada, Answer) {
    let (entrada, course) = on_course().await;
    if !guarded {
        course.unguarded();
    }
    let client = Client::register(&entrada).await;
    let mut browser = Browser::default();
    let callbacks = approved_twice(&entrada, &client, &mut browser).await;
    let first = browser.open(&entrada, callbacks[0].as_str()).await;
    let code = code_of(&first.location());
    Tokens::of(&client.redeem(&entrada, &code).await);
    browser.open(&entrada, callbacks[1].as_str()).await;
    let again = client.redeem(&entrada, &code).await;
    (entrada, again)
}

#[tokio::test]
async fn two_callbacks_of_one_login_make_one_grant() {
    let (entrada, again) = two_callbacks(true).await;
    assert_eq!((again.status.as_u16(), again.error().as_str()), (400, "invalid_grant"));
    assert_eq!(entrada.events.count(EventName::SignInCompleted), 1);
    assert_eq!(entrada.events.reasons(EventName::RequestRefused), ["login_already_used", "code_spent"]);
}

#[tokio::test]
async fn without_create_if_absent_a_second_callback_would_make_the_code_good_again() {
    let (_entrada, again) = two_callbacks(false).await;
    assert_eq!(again.status, 200);
}

/// Two callbacks of one login that reach the store together.
async fn callbacks_at_once() -> (Entrada, Client, Vec<String>) {
    let (entrada, course) = on_course().await;
    let client = Client::register(&entrada).await;
    let mut browser = Browser::default();
    let callbacks = approved_twice(&entrada, &client, &mut browser).await;
    course.gather_creations(2);
    let codes = join_all(callbacks.iter().map(|callback| {
        let mut tab = browser.clone();
        let entrada = &entrada;
        async move { code_of(&tab.open(entrada, callback.as_str()).await.location()) }
    }));
    let codes = codes.await;
    (entrada, client, codes)
}

#[tokio::test]
async fn two_callbacks_at_once_lead_to_one_grant_and_one_code() {
    let (entrada, client, codes) = callbacks_at_once().await;
    assert_eq!(codes[0], codes[1]);
    let found = entrada.auth.list_grants(&Selection::All).await.unwrap();
    assert_eq!(found.grants.len(), 1);
    Tokens::of(&client.redeem(&entrada, &codes[0]).await);
    assert_eq!(client.redeem(&entrada, &codes[1]).await.error(), "invalid_grant");
}
