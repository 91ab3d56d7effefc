//! What lies in the store: nothing that can be used, and nothing that is believed because it lies there.

use std::sync::Arc;
use std::time::Duration;

use entrada::domain::document::Document;
use entrada::domain::document::Version;
use entrada::ports::store::Listing;
use entrada::ports::store::Store;

use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Entrada;
use crate::support::entrada::TENANT;
use crate::support::vigil::contains;

async fn grants(store: &Arc<dyn Store>) -> Vec<(Document, Version)> {
    let found = store.list(Listing::Prefix("g."), None, 100).await.unwrap();
    found.into_iter().map(|stored| (stored.document, stored.version)).collect()
}

/// Not the code, the tokens, the client's metadata, nor who the person is, in keys or in bodies.
#[tokio::test]
async fn a_stolen_store_holds_no_credential_and_no_name() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let pending = client.code(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    client.refresh(&entrada, &tokens.refresh).await;
    let claims = tokens.claims();
    let bytes = std::fs::read(entrada.store_file()).unwrap();
    for text in [
        pending.as_str(),
        &tokens.refresh,
        &tokens.access,
        &client.id,
        &client.redirect_uri,
        "Test Client",
        "the-clients-state",
        TENANT,
        claims["oid"].as_str().unwrap(),
        claims["name"].as_str().unwrap(),
    ] {
        assert!(!contains(&bytes, text.as_bytes()), "{text} lies in the store");
    }
    assert!(!grants(&entrada.store).await.is_empty());
}

/// Bytes that we did not seal, or sealed for another place, are trouble of ours, never an answer about the person.
#[tokio::test]
async fn a_document_that_was_exchanged_or_damaged_is_never_believed() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let (mine, version) = grants(&entrada.store).await.remove(0);
    client.tokens(&entrada).await;
    let other = grants(&entrada.store).await.into_iter().map(|(document, _)| document);
    let other = other.into_iter().find(|document| document.key != mine.key).unwrap();
    let flipped: Vec<u8> =
        mine.body.iter().enumerate().map(|(n, b)| if n == 20 { b ^ 1 } else { *b }).collect();
    let mut bodies = vec![other.body, flipped, Vec::new(), b"{\"client_id\":\"x\"}".to_vec(), vec![0; 4_096]];
    bodies.push(mine.body.iter().copied().chain([0]).collect());
    let mut version = version;
    for body in bodies {
        version = entrada.store.replace(Document { body, ..mine.clone() }, &version).await.unwrap();
        let answer = client.refresh(&entrada, &tokens.refresh).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (503, "temporarily_unavailable"));
        assert_eq!(answer.header("retry-after"), "5");
    }
    entrada.store.replace(mine, &version).await.unwrap();
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}

/// State, generation and expiry stand beside the sealed body in clear, for those who count and clean: whoever
/// changes them has a document that does not open, and no longer life.
#[tokio::test]
async fn the_clear_part_of_a_document_cannot_revive_or_prolong_a_grant() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let (alive, _) = grants(&entrada.store).await.remove(0);
    entrada.post_form("/revoke", &[("client_id", &client.id), ("token", &tokens.refresh)]).await;
    let (revoked, mut version) = grants(&entrada.store).await.remove(0);
    assert_ne!(revoked.state, alive.state);
    let later = alive.expires_at.map(|at| at.plus(Duration::from_secs(3_600)));
    for tampered in [
        Document { state: alive.state, generation: alive.generation, ..revoked },
        Document { expires_at: later, ..alive.clone() },
        Document { generation: alive.generation + 1, ..alive.clone() },
    ] {
        version = entrada.store.replace(tampered, &version).await.unwrap();
        let answer = client.refresh(&entrada, &tokens.refresh).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (503, "temporarily_unavailable"));
    }
}
