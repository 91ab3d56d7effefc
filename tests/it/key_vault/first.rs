//! The first generation: made by whoever comes first, and by whom else meanwhile.

use axum::http::Method;
use entrada::flows::root::Locked;
use entrada::ports::root_key::RootKeyStore;

use super::stand::At;
use super::stand::Stopped;
use super::stand::agree;
use super::stand::losing;
use super::stand::open;
use super::stand::unopened;
use crate::support::vault::SECRET;

/// It can do nothing but wait, and says for what.
fn waits(outcome: Result<(), Locked>) {
    let error = outcome.unwrap_err();
    assert!(error.is_away(), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("does not show generation 1 of the root key yet"), "{text}");
}

#[tokio::test]
async fn the_first_replica_makes_the_key_and_the_next_ones_find_it() {
    let (entrada, vault) = open().await;
    let asked: Vec<String> =
        vault.requests().iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect();
    let version = vault.versions().remove(0);
    let list = format!("GET /secrets/{SECRET}/versions?api-version=7.4&maxresults=25");
    let set = format!("PUT /secrets/{SECRET}?api-version=7.4");
    let get = format!("GET /secrets/{SECRET}/{}?api-version=7.4", version.id);
    assert_eq!(asked, [list.clone(), set, list, get]);
    assert_eq!((version.generation(), version.enabled), (1, true));
    assert_eq!(version.kind.as_deref(), Some("Entrada root key, generation 1"));

    let second = entrada.replica().await;
    agree(&entrada, &[&second, &entrada.router]).await;
    assert_eq!(vault.generations(), [(1, true)]);
    vault.requests();
    entrada.auth.keep_keys().await.unwrap();
    assert!(vault.requests().is_empty(), "what is known is not asked for again");
}

#[tokio::test]
async fn of_replicas_that_make_a_key_at_the_same_time_one_makes_it_and_the_others_take_theirs_back() {
    for _ in 0..4 {
        const REPLICAS: usize = 5;
        let (entrada, vault) = unopened().await;
        vault.gather_sets(REPLICAS);
        let replicas: Vec<_> = (0..REPLICAS).map(|_| entrada.replica_of(vault.root_key())).collect();
        let starts = replicas.iter().map(|(auth, _)| auth.keep_keys());
        for started in futures_util::future::join_all(starts).await {
            started.unwrap();
        }
        let generations = vault.generations();
        assert_eq!(generations.len(), REPLICAS, "they were to be at it together");
        assert_eq!(generations.iter().filter(|(_, enabled)| *enabled).count(), 1, "{generations:?}");
        entrada.auth.keep_keys().await.unwrap();
        let routers: Vec<_> = replicas.iter().map(|(_, router)| router).collect();
        agree(&entrada, &routers).await;
    }
}

/// It has set its key, and not written the check. Whoever finds the key takes it.
#[tokio::test]
async fn a_key_counts_for_who_finds_it_before_its_maker_has_said_so() {
    let (entrada, vault) = unopened().await;
    let slow = Stopped::at(At::Check, &entrada, &vault).await;
    entrada.auth.keep_keys().await.unwrap();
    let (outcome, _, router) = slow.goes_on().await;
    outcome.unwrap();
    assert_eq!(vault.generations(), [(1, true)], "it is the only one, and not taken back");
    agree(&entrada, &[&router]).await;
}

/// The first that set a key is not the first that writes the check, since the second did not see it.
#[tokio::test]
async fn whose_check_is_written_first_decides_and_the_loser_waits_until_it_sees_the_winners_key() {
    let (entrada, vault) = unopened().await;
    vault.lags();
    let slow = Stopped::at(At::Check, &entrada, &vault).await;
    entrada.auth.keep_keys().await.unwrap();
    assert_eq!(vault.generations(), [(1, true), (1, true)]);
    let (outcome, loser, router) = slow.goes_on().await;
    waits(outcome);
    assert!(!loser.is_open(), "it would make what nobody else can read");
    assert_eq!(vault.generations(), [(1, false), (1, true)], "its own is taken back");
    waits(loser.keep_keys().await);
    vault.catches_up();
    loser.keep_keys().await.unwrap();
    agree(&entrada, &[&router]).await;
}

/// A version that was set may be found by nobody for a while, its maker included.
#[tokio::test]
async fn whoever_made_a_key_knows_it_before_the_vault_shows_it() {
    let (entrada, vault) = unopened().await;
    vault.lags();
    entrada.auth.keep_keys().await.unwrap();
    let (third, router) = entrada.replica_of(vault.root_key());
    waits(third.keep_keys().await);
    assert_eq!(vault.generations(), [(1, true)], "there is a check, so no other is made");
    vault.catches_up();
    third.keep_keys().await.unwrap();
    agree(&entrada, &[&router]).await;

    let (entrada, vault) = unopened().await;
    vault.lags_wholly();
    let error = entrada.auth.keep_keys().await.unwrap_err();
    assert!(error.is_away() && error.to_string().contains("does not show yet"), "{error}");
    vault.catches_up();
    entrada.auth.keep_keys().await.unwrap();
    assert_eq!(vault.generations(), [(1, true)]);
}

#[tokio::test]
async fn a_replica_that_dies_between_key_and_check_leaves_its_key_to_the_next() {
    let (entrada, vault) = unopened().await;
    Stopped::at(At::Check, &entrada, &vault).await.dies().await;
    entrada.auth.keep_keys().await.unwrap();
    assert_eq!(vault.generations(), [(1, true)]);
    agree(&entrada, &[&entrada.replica().await]).await;
}

/// Nobody takes it back: it is enabled, has the number of another, and is newer or older than that.
#[tokio::test]
async fn a_key_that_a_dead_replica_left_unseen_counts_for_nothing() {
    let (entrada, vault) = unopened().await;
    vault.lags();
    Stopped::at(At::Check, &entrada, &vault).await.dies().await;
    entrada.auth.keep_keys().await.unwrap();
    vault.catches_up();
    assert_eq!(vault.generations(), [(1, true), (1, true)]);
    agree(&entrada, &[&entrada.replica().await]).await;
    vault.set(&vault.versions()[0].value);
    agree(&entrada, &[&entrada.replica().await]).await;
}

#[tokio::test]
async fn a_third_replica_that_finds_two_keys_chooses_and_both_makers_go_by_it() {
    let (entrada, vault) = unopened().await;
    vault.lags();
    let one = Stopped::at(At::Check, &entrada, &vault).await;
    let other = Stopped::at(At::Check, &entrada, &vault).await;
    vault.catches_up();
    entrada.auth.keep_keys().await.unwrap();
    let (outcome, _, first) = one.goes_on().await;
    outcome.unwrap();
    let (outcome, _, second) = other.goes_on().await;
    outcome.unwrap();
    assert_eq!(vault.generations().iter().filter(|(_, enabled)| *enabled).count(), 1);
    agree(&entrada, &[&first, &second, &entrada.replica().await]).await;
}

/// Between the look for the check and the look for anything else, another replica has made both.
#[tokio::test]
async fn a_store_that_another_replica_has_just_begun_has_not_lost_its_check() {
    let (entrada, vault) = unopened().await;
    let slow = Stopped::at(At::List, &entrada, &vault).await;
    entrada.auth.keep_keys().await.unwrap();
    let (outcome, _, router) = slow.goes_on().await;
    outcome.unwrap();
    assert_eq!(vault.generations(), [(1, true)]);
    agree(&entrada, &[&router]).await;
}

/// The write happened. What is taken back then would be the key of the store.
#[tokio::test]
async fn a_check_whose_writer_was_not_told_keeps_its_key() {
    let (entrada, vault) = unopened().await;
    let (auth, router) = entrada.replica_between(losing(&entrada.store), vault.root_key());
    assert!(auth.keep_keys().await.unwrap_err().is_away());
    auth.keep_keys().await.unwrap();
    entrada.auth.keep_keys().await.unwrap();
    assert_eq!(vault.generations(), [(1, true)]);
    assert!(vault.requests().iter().all(|asked| asked.method != Method::PATCH));
    agree(&entrada, &[&router]).await;
}

/// A store that begins anew on a vault that has keys takes them, the newest for what it makes.
#[tokio::test]
async fn an_empty_store_takes_the_keys_that_are_there_and_none_that_is_disabled() {
    let (entrada, vault) = unopened().await;
    let root = vault.root_key();
    for generation in 1..=3 {
        root.add(&super::stand::key(generation, generation)).await.unwrap();
    }
    vault.enable(0, false);
    entrada.auth.keep_keys().await.unwrap();
    assert_eq!(vault.versions().len(), 3);
    let found = entrada.auth.list_keys().await.unwrap();
    let numbers: Vec<u8> = found.root.iter().map(|root| root.generation).collect();
    assert_eq!(numbers, [2, 3]);
    assert!(found.place.to_string().starts_with("the secret entrada-root in http://127.0.0.1:"));
}
