//! What the vault says in place of what was asked, and what is made of it.

use std::sync::Arc;

use axum::http::Method;
use entrada::ports::root_key::RootKeyError;
use entrada::ports::root_key::RootKeyStore;

use super::stand::key;
use super::stand::open;
use crate::support::vault::HostedVault;
use crate::support::vault::Identity;
use crate::support::vault::Instead;

/// What loading says when the list is answered so, and whether it may be waited for.
async fn told(instead: Instead) -> (bool, String) {
    let vault = HostedVault::start().await;
    vault.answers(Method::GET, instead);
    judged(vault.root_key().load().await.unwrap_err())
}

fn judged(error: RootKeyError) -> (bool, String) {
    (matches!(error, RootKeyError::Away(_)), error.to_string())
}

#[tokio::test]
async fn every_refusal_says_who_has_to_do_what() {
    for (instead, words) in [
        (Instead::new(401, "Unauthorized", None), "belong to the same tenant"),
        (
            Instead::new(403, "Forbidden", Some("ForbiddenByRbac")),
            "the role \"Key Vault Secrets Officer\" on this vault",
        ),
        (Instead::new(403, "Forbidden", Some("AccessDenied")), "a vault that goes by access policies"),
        (Instead::new(403, "Forbidden", None), "the role \"Key Vault Secrets Officer\" on this vault"),
        (Instead::new(403, "Forbidden", Some("ForbiddenByFirewall")), "does not let this machine in"),
        (Instead::new(403, "Forbidden", Some("ForbiddenByConnection")), "a private endpoint there"),
        (Instead::new(400, "BadParameter", None), "it answered 400 BadParameter"),
        (Instead::new(302, "Found", None).with("location", "http://127.0.0.1:9/"), "is no key vault"),
    ] {
        let (waits, text) = told(instead.clone()).await;
        assert!(!waits && text.contains(words), "{instead:?}: {text}");
        assert!(!text.contains("ids in it"), "its own text quotes ids: {text}");
    }
}

#[tokio::test]
async fn a_vault_in_trouble_is_asked_again_and_waited_for() {
    for status in [408, 409, 429, 500, 503] {
        let vault = HostedVault::start().await;
        vault.set("1 BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc");
        vault.answers(Method::GET, Instead::new(status, "Trouble", None).with("retry-after", "0"));
        let loaded = vault.root_key().load().await.unwrap();
        assert_eq!(loaded.len(), 1, "{status}");
        assert_eq!(vault.requests().len(), 3, "{status}: once more than without trouble");
    }
}

/// It says for how long, and that is longer than anybody waits here.
#[tokio::test]
async fn while_it_throttles_for_long_it_is_left_alone() {
    let vault = HostedVault::start().await;
    vault.answers(Method::GET, Instead::new(429, "Throttled", None).with("retry-after", "7"));
    let (waits, text) = judged(vault.root_key().load().await.unwrap_err());
    assert!(waits, "{text}");
    assert_eq!(text, "the key vault is away: it throttles (429), and asks to be left alone for 7 s");
    assert_eq!(vault.requests().len(), 1);
}

#[tokio::test]
async fn a_vault_that_is_not_there_is_waited_for() {
    let vault = HostedVault::start().await;
    vault.reachable(false);
    let (waits, text) = judged(vault.root_key().load().await.unwrap_err());
    assert!(waits && text.starts_with("the key vault is away: it "), "{text}");
}

#[tokio::test]
async fn a_token_of_somebody_else_is_answered_with_a_challenge_that_is_not_followed() {
    let vault = HostedVault::start().await;
    let stranger = vault.root_key_with(Arc::new(Identity("token-of-somebody-else")), true);
    let (waits, text) = judged(stranger.load().await.unwrap_err());
    assert!(!waits && text.contains("(401)"), "{text}");
    assert!(vault.requests().is_empty());
}

/// Its versions are an empty list then, and its name is taken.
#[tokio::test]
async fn a_deleted_secret_is_to_be_recovered() {
    let (entrada, vault) = open().await;
    vault.delete(true);
    entrada.advance(10 * 60);
    let (starting, _) = entrada.replica_of(vault.root_key());
    let text = starting.keep_keys().await.unwrap_err().to_string();
    assert!(text.contains("recover the secret if it was deleted"), "{text}");
    let (waits, text) = judged(vault.root_key().create(&key(1, 1)).await.unwrap_err());
    assert!(!waits && text.contains("`az keyvault secret recover`"), "{text}");
    vault.delete(false);
    starting.keep_keys().await.unwrap();
}

/// Real vaults say 200 and nothing; 404 means the same.
#[tokio::test]
async fn a_secret_that_was_never_set_is_no_error() {
    let vault = HostedVault::start().await;
    assert!(vault.root_key().load().await.unwrap().is_empty());
    vault.answers(Method::GET, Instead::new(404, "SecretNotFound", None));
    assert!(vault.root_key().load().await.unwrap().is_empty());
}

/// It was enabled when it was listed.
#[tokio::test]
async fn a_version_that_goes_while_it_is_read_is_dropped() {
    for instead in
        [Instead::new(403, "Forbidden", Some("SecretDisabled")), Instead::new(404, "SecretNotFound", None)]
    {
        let vault = HostedVault::start().await;
        let root = vault.root_key();
        root.add(&key(1, 1)).await.unwrap();
        root.add(&key(2, 2)).await.unwrap();
        assert_eq!(root.load().await.unwrap().len(), 2);
        // The list first, then a version.
        vault.answers_second(Method::GET, instead.clone());
        assert_eq!(root.load().await.unwrap().len(), 1, "{instead:?}");
    }
}

#[tokio::test]
async fn many_versions_are_many_pages_and_only_enabled_ones_are_read() {
    let vault = HostedVault::start().await;
    let root = vault.root_key();
    for generation in 1..=60 {
        root.add(&key(generation, generation)).await.unwrap();
    }
    for n in 0..58 {
        vault.enable(n, false);
    }
    vault.requests();
    let loaded = vault.root_key().load().await.unwrap();
    let generations: Vec<u8> = loaded.iter().map(|key| key.generation.0).collect();
    assert_eq!(generations, [59, 60]);
    let (lists, gets): (Vec<_>, Vec<_>) =
        vault.requests().into_iter().partition(|asked| asked.target.contains("/versions?"));
    assert_eq!((lists.len(), gets.len()), (3, 2), "25, 25 and 10; disabled ones are not read");
}

/// Its token is good at every vault that the identity may read.
#[tokio::test]
async fn the_list_is_not_followed_to_another_address() {
    let (vault, elsewhere) = (HostedVault::start().await, HostedVault::start().await);
    for generation in 1..=30 {
        vault.root_key().add(&key(generation, 1)).await.unwrap();
    }
    let origin = elsewhere.url.as_str().trim_end_matches('/').to_owned();
    for astray in [origin, vault.url.as_str().trim_end_matches('/').replace("127.0.0.1", "localhost")] {
        vault.leads_astray(&astray);
        let (waits, text) = judged(vault.root_key().load().await.unwrap_err());
        assert!(!waits && text.contains("at another address, which is not asked"), "{text}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn what_is_no_key_is_named_by_its_version_and_not_shown() {
    for (value, what) in [
        ("hunter2-0012345", "has something that is not a generation and its key in version "),
        ("1 AAAA", "has a key that is not 32 bytes long in version "),
        ("1 hunter2+0012345", "has a key that is not base64url without padding in version "),
        ("1 hunter2\"0012345", "has a key that is not base64url without padding in version "),
    ] {
        let vault = HostedVault::start().await;
        vault.set(value);
        let (waits, text) = judged(vault.root_key().load().await.unwrap_err());
        assert!(!waits && text.contains(what), "{value}: {text}");
        assert!(!text.contains("0012345"), "{text}");
        vault.enable(0, false);
        assert!(vault.root_key().load().await.unwrap().is_empty());
    }
    let vault = HostedVault::start().await;
    vault.set("1 BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc\n");
    assert_eq!(vault.root_key().load().await.unwrap().len(), 1, "an operator's editor ends lines");
}
