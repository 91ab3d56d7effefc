//! What lies in the container: docs/storage.md shows it, from here.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use entrada::flows::block::Target;
use serde_json::Value;

use crate::documents::is_current;
use crate::support::api_key::made;
use crate::support::api_key::new;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;
use crate::support::upstream::Upstream;

/// What Cosmos DB adds.
const SYSTEM: [&str; 5] = ["_rid", "_self", "_etag", "_attachments", "_ts"];

/// Whatever is random or sealed by its length.
fn shown(name: &str, value: &Value) -> String {
    let Some(text) = value.as_str() else { return value.to_string() };
    let (prefix, rest) = match text.split_once('.') {
        Some((prefix, rest)) if prefix.len() < 3 => (format!("{prefix}."), rest),
        _ => (String::new(), text),
    };
    match name {
        "body" => "\"…\"".to_owned(),
        _ if rest.len() >= 16 => format!("\"{prefix}…{} characters…\"", rest.len()),
        _ => value.to_string(),
    }
}

fn example(document: &Value) -> String {
    let order = ["pk", "id", "state", "generation", "nonce", "schema", "exp", "ttl", "body"];
    let members = order.iter().filter_map(|name| {
        let value = document.get(name)?;
        Some(format!("  \"{name}\": {}", shown(name, value)))
    });
    format!("{{\n{}\n}}\n", members.collect::<Vec<_>>().join(",\n"))
}

#[tokio::test]
async fn every_kind_of_document_is_as_the_page_shows_it() {
    let upstream = Upstream::start().await;
    let mut resource = resource(ISSUER, "/mcp", Some(upstream.url.clone()));
    resource.allowed.keys = true;
    let cosmos = Some(Duration::from_secs(5));
    let entrada = Entrada::with(Setup { cosmos, resources: vec![resource], ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let pending = client.code(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    entrada.auth.block(Target::RedirectHost("evil.example".to_owned())).await.unwrap();
    let revoked = client.tokens(&entrada).await;
    entrada.post_form("/revoke", &[("client_id", &client.id), ("token", &revoked.refresh)]).await;
    drop(pending);
    let key = made(&entrada, new("ci")).await;
    let call = Request::get("/mcp").header("x-api-key", key.text.expose()).body(Body::empty()).unwrap();
    assert_eq!(entrada.send(call).await.status, 200);
    entrada.auth.write_key_uses().await;
    made(&entrada, new("gone")).await;
    entrada.auth.revoke_key("gone").await.unwrap();

    let mut examples: Vec<String> = Vec::new();
    let mut documents = entrada.cosmos().documents().await;
    documents.sort_by_key(|document| (document["pk"].to_string(), document["generation"].as_u64()));
    for document in &documents {
        let members = document.as_object().unwrap().keys().map(String::as_str);
        let ours: Vec<_> = members.filter(|name| !SYSTEM.contains(name)).collect();
        let allowed = ["pk", "id", "state", "generation", "nonce", "schema", "exp", "ttl", "body"];
        assert!(ours.iter().all(|name| allowed.contains(name)), "{ours:?}");
        let example = example(document);
        if !examples.contains(&example) {
            examples.push(example);
        }
    }
    examples.sort();
    let blocks: String = examples.iter().map(|example| format!("```json\n{example}```\n")).collect();
    is_current("docs/storage.md", "documents", &blocks);
}

/// What `entrada store init` asks for is what the page says that infrastructure has to make.
#[tokio::test]
async fn the_container_is_as_the_page_shows_it() {
    let entrada = Entrada::with(Setup { cosmos: Some(Duration::from_secs(5)), ..Setup::default() }).await;
    let mut container = entrada.cosmos().container().await;
    let members = container.as_object_mut().unwrap();
    members.retain(|name, _| ["id", "partitionKey", "defaultTtl", "indexingPolicy"].contains(&name.as_str()));
    let block = format!("```json\n{}\n```\n", serde_json::to_string_pretty(&container).unwrap());
    is_current("docs/storage.md", "container", &block);
}
