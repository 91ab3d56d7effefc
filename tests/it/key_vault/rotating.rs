//! New generations in a vault, and those that are dropped.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Method;
use axum::http::Request;
use entrada::domain::root_check::RootCheck;
use entrada::flows::rotate::NotRotated;
use entrada::flows::rotate::RootStage;
use entrada::flows::rotate::Rotated;
use entrada::flows::rotate::Rotation;
use entrada::ports::root_key::RootKeyStore;

use super::stand::agree;
use super::stand::key;
use super::stand::open;
use crate::support::client::Client;
use crate::support::entrada::Entrada;
use crate::support::entrada::Setup;
use crate::support::race::Course;
use crate::support::race::Raced;
use crate::support::vault::HostedVault;
use crate::support::vault::Identity;
use crate::support::vault::Instead;
use crate::support::vault::TOKEN;

const HOUR: u64 = 60 * 60;

fn down() -> Instead {
    Instead::new(503, "ServiceUnavailable", None).with("retry-after", "60")
}

async fn ready(entrada: &Entrada, router: &axum::Router) -> u16 {
    let request = Request::get("/healthz/ready").body(Body::empty()).unwrap();
    entrada.send_to(router, request).await.status.as_u16()
}

#[tokio::test]
async fn a_new_generation_is_found_by_every_replica_and_used_an_hour_later() {
    let (entrada, vault) = open().await;
    let (other, router) = entrada.replica_with_auth().await;
    vault.lags();
    let rotated = entrada.auth.rotate_keys(Rotation::Root).await.unwrap();
    let Rotated::RootAdded { generation: 2, issues_from: Some(from), place } = rotated else {
        panic!("{rotated:?}")
    };
    assert!(place.is_common());
    let again = entrada.auth.rotate_keys(Rotation::Root).await.unwrap_err();
    assert!(matches!(again, NotRotated::RootPending { generation: 2, missing: false, .. }), "{again:?}");
    assert_eq!(vault.generations(), [(1, true), (2, true)]);

    other.keep_keys().await.unwrap();
    assert!(entrada.log.text().contains("a generation of the root key is missing here"));
    agree(&entrada, &[&router]).await;
    vault.catches_up();
    other.keep_keys().await.unwrap();
    entrada.advance(HOUR);
    for auth in [&entrada.auth, &other] {
        auth.keep_keys().await.unwrap();
        let found = auth.list_keys().await.unwrap();
        let stages: Vec<_> = found.root.iter().map(|root| (root.stage, root.issues_from <= from)).collect();
        assert_eq!(stages, [(RootStage::Verifies, true), (RootStage::Current, true)]);
    }
    agree(&entrada, &[&router]).await;
}

/// One process has the store: nobody else has to find it.
#[tokio::test]
async fn alone_it_is_used_at_once() {
    let vault = HostedVault::start().await;
    let alone = vault.root_key_with(Arc::new(Identity(TOKEN)), false);
    assert!(alone.delay().is_zero());
    assert_eq!(vault.root_key().delay().as_secs(), HOUR);
}

/// It has an hour. Whoever has not found it by then serves nothing until it has, and waits for that.
#[tokio::test]
async fn without_its_vault_a_replica_goes_on_until_a_generation_is_used_that_it_has_not_got() {
    let (entrada, vault) = open().await;
    let (other, router) = entrada.replica_with_auth().await;
    entrada.auth.rotate_keys(Rotation::Root).await.unwrap();
    vault.reachable(false);
    other.keep_keys().await.unwrap();
    assert_eq!(ready(&entrada, &router).await, 200);
    entrada.advance(HOUR);
    assert_eq!(ready(&entrada, &router).await, 503, "to the second");
    let error = other.keep_keys().await.unwrap_err();
    assert!(error.is_away(), "{error:?}");
    assert!(error.to_string().starts_with("the key vault is away: "), "{error}");
    assert_eq!(ready(&entrada, &router).await, 503);
    entrada.auth.keep_keys().await.unwrap();
    assert_eq!(ready(&entrada, &entrada.router).await, 200, "whoever has it goes on, and with the new one");
    let found = entrada.auth.list_keys().await.unwrap();
    assert_eq!(found.root[1].stage, RootStage::Current);
    vault.reachable(true);
    other.keep_keys().await.unwrap();
    agree(&entrada, &[&router]).await;
}

#[tokio::test]
async fn of_two_rotations_at_once_one_is_carried_out_and_the_other_takes_its_version_back() {
    let (entrada, vault) = open().await;
    let (other, router) = entrada.replica_with_auth().await;
    vault.gather_sets(2);
    let both = tokio::join!(entrada.auth.rotate_keys(Rotation::Root), other.rotate_keys(Rotation::Root));
    let outcomes = [both.0, both.1];
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(outcomes.contains(&Err(NotRotated::AnotherFirst)), "{outcomes:?}");
    let generations = vault.generations();
    assert_eq!(generations.iter().filter(|(number, _)| *number == 2).count(), 2, "{generations:?}");
    assert_eq!(generations.iter().filter(|version| **version == (2, true)).count(), 1, "{generations:?}");
    entrada.advance(HOUR);
    entrada.auth.keep_keys().await.unwrap();
    other.keep_keys().await.unwrap();
    agree(&entrada, &[&router, &entrada.replica().await]).await;
}

#[tokio::test]
async fn a_root_key_in_other_hands_is_disabled_and_every_replica_goes_by_the_new_one_within_half_a_minute() {
    let (entrada, vault) = open().await;
    let (other, router) = entrada.replica_with_auth().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let rotated = entrada.auth.rotate_keys(Rotation::RootCompromised).await.unwrap();
    assert!(matches!(rotated, Rotated::RootReplaced { generation: 2, ended: 1, .. }), "{rotated:?}");
    assert_eq!(vault.generations(), [(1, false), (2, true)]);
    assert_eq!(client.refresh(&entrada, &tokens.refresh).await.error(), "invalid_client");
    entrada.advance(30);
    other.keep_keys().await.unwrap();
    agree(&entrada, &[&router, &entrada.replica().await]).await;
}

/// A vault that is behind what was written to it, or away, keeps a replica from serving and from nothing else.
#[tokio::test]
async fn a_replica_that_does_not_see_the_new_root_key_yet_waits_for_it() {
    let (entrada, vault) = open().await;
    let (other, router) = entrada.replica_with_auth().await;
    vault.lags();
    entrada.auth.rotate_keys(Rotation::RootCompromised).await.unwrap();
    let (starting, _) = entrada.replica_of(vault.root_key());
    for auth in [&other, &starting] {
        let error = auth.keep_keys().await.unwrap_err();
        assert!(error.is_away() && error.to_string().contains("generation 2 of the root key yet"), "{error}");
    }
    assert_eq!(ready(&entrada, &router).await, 503, "what it makes would be garbage to others");
    vault.catches_up();
    other.keep_keys().await.unwrap();
    starting.keep_keys().await.unwrap();
    agree(&entrada, &[&router]).await;
}

/// It is behind for minutes. What is missing for longer is missing.
#[tokio::test]
async fn what_is_not_there_after_ten_minutes_is_told_to_the_operator() {
    let (entrada, vault) = open().await;
    vault.enable(0, false);
    entrada.advance(10 * 60);
    let (starting, _) = entrada.replica_of(vault.root_key());
    let error = starting.keep_keys().await.unwrap_err();
    assert!(!error.is_away());
    assert!(error.to_string().contains("has no version that is enabled"), "{error}");
    entrada.auth.keep_keys().await.unwrap();
    assert_eq!(ready(&entrada, &entrada.router).await, 200, "whoever knows it goes on");
}

/// The old versions count for nothing from then on; that they are still enabled is said, and mended by the same command.
#[tokio::test]
async fn where_an_old_version_cannot_be_disabled_that_is_said_and_the_same_command_does_it() {
    let (entrada, vault) = open().await;
    entrada.auth.rotate_keys(Rotation::Root).await.unwrap();
    entrada.advance(HOUR);
    vault.answers(Method::PATCH, down());
    let told = entrada.auth.rotate_keys(Rotation::RootCompromised).await.unwrap_err();
    let NotRotated::RootAway(text) = &told else { panic!("{told:?}") };
    assert!(
        text.starts_with("Generation 3 is the only root key that counts, but 1 of the versions of"),
        "{text}"
    );
    assert_eq!(vault.generations(), [(1, true), (2, false), (3, true)], "the others are tried all the same");
    entrada.auth.keep_keys().await.unwrap();
    agree(&entrada, &[&entrada.replica().await]).await;
    entrada.auth.rotate_keys(Rotation::RootCompromised).await.unwrap();
    assert_eq!(vault.generations(), [(1, false), (2, false), (3, false), (4, true)]);
}

/// Whatever write to the store fails, whoever starts gets in, and the same command finishes the work.
#[tokio::test]
async fn a_replacement_may_be_interrupted_at_any_write() {
    for nth in 1.. {
        let course = Arc::new(Course::default());
        let there = Arc::clone(&course);
        let decorate = move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _;
        let vault = Arc::new(HostedVault::start().await);
        let setup =
            Setup { decorate: Box::new(decorate), vault: Some(Arc::clone(&vault)), ..Setup::default() };
        let entrada = Entrada::with(setup).await;
        course.fail_write(nth);
        let interrupted = entrada.auth.rotate_keys(Rotation::RootCompromised).await;
        if !course.has_failed() {
            assert!(nth > 3 && interrupted.is_ok(), "{nth} {interrupted:?}");
            return;
        }
        let (auth, _) = entrada.replica_with_auth().await;
        auth.rotate_keys(Rotation::RootCompromised).await.unwrap();
        let enabled: Vec<_> = vault.generations().into_iter().filter(|(_, enabled)| *enabled).collect();
        assert_eq!(enabled.len(), 1, "{nth}: {enabled:?}");
    }
}

/// A command that began later has added it, and is about to announce it.
#[tokio::test]
async fn what_is_newer_than_the_kept_one_is_not_disabled() {
    let vault = HostedVault::start().await;
    let root = vault.root_key();
    for generation in 1..=4 {
        root.add(&key(generation, generation)).await.unwrap();
    }
    root.keep_only(&key(3, 3)).await.unwrap();
    assert_eq!(vault.generations(), [(1, false), (2, false), (3, true), (4, true)]);
    let gone = root.keep_only(&key(1, 1)).await.unwrap_err().to_string();
    assert!(gone.ends_with("has no generation 1"), "{gone}");
    let other = root.keep_only(&key(3, 9)).await.unwrap_err().to_string();
    assert!(other.ends_with("has no generation 3"), "{other}");
    assert_eq!(vault.generations(), [(1, false), (2, false), (3, true), (4, true)]);
}

/// By hand, while things in the store are made with it: whoever knows it goes on until it restarts.
#[tokio::test]
async fn a_generation_that_is_disabled_by_hand_is_missed_in_words_by_who_starts_and_counts_again_when_enabled()
 {
    let (entrada, vault) = open().await;
    entrada.auth.rotate_keys(Rotation::Root).await.unwrap();
    entrada.advance(HOUR + 10 * 60);
    entrada.auth.keep_keys().await.unwrap();
    vault.enable(0, false);
    entrada.auth.keep_keys().await.unwrap();
    let (starting, router) = entrada.replica_of(vault.root_key());
    let error = starting.keep_keys().await.unwrap_err();
    let text = error.to_string();
    assert!(!error.is_away() && text.contains("has no generation 1 of the root key"), "{text}");
    assert!(text.contains("Enable its version again"), "{text}");
    assert_eq!(ready(&entrada, &router).await, 503);
    vault.enable(0, true);
    starting.keep_keys().await.unwrap();
    agree(&entrada, &[&router]).await;
}

/// Another vault, or another secret.
#[tokio::test]
async fn the_keys_of_another_store_are_refused() {
    let (entrada, _vault) = open().await;
    let other = HostedVault::start().await;
    other.root_key().create(&key(1, 9)).await.unwrap();
    entrada.advance(10 * 60);
    let (starting, _) = entrada.replica_of(other.root_key());
    let text = starting.keep_keys().await.unwrap_err().to_string();
    assert!(text.contains("is not the root key that the store was made with"), "{text}");
    assert!(text.contains("keys.vault and keys.secret"), "{text}");
    let check = entrada.store.read(&RootCheck::key()).await.unwrap().unwrap();
    assert_eq!(RootCheck::from_document(&check.document).unwrap().generations().len(), 1);
}
