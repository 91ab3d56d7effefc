//! Documents while hosts fail, strangers knock and clocks are put right: what is used goes on, as long as it may.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use entrada::domain::event::EventName;
use entrada::ports::clock::Clock;
use entrada::ports::documents::ClientDocuments;
use entrada::ports::documents::Fetched;
use entrada::ports::documents::NotFetched;
use entrada::ports::documents::Validators;
use serde_json::json;
use url::Url;

use crate::support::client::Tokens;
use crate::support::counted::counted;
use crate::support::entrada::Entrada;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::page::Page;
use crate::support::published::ID;
use crate::support::published::asked;
use crate::support::published::client;
use crate::support::published::document;
use crate::support::published::mend;
use crate::support::published::page;
use crate::support::published::reason;
use crate::support::published::start;
use crate::support::signer::Signer;
use crate::support::signer::asserted;
use crate::support::signer::redeem;
use crate::support::signer::refresh;
use crate::support::web::Web;

const DAY: u64 = 24 * 3600;
const KEYS: &str = "https://vscode.dev/oauth/jwks.json";
const OTHER_KEYS: &str = "https://vscode.dev/oauth/other-keys.json";

/// Strangers name addresses at the host that fail, until none of a stranger is fetched from there.
async fn knocked(entrada: &Entrada, web: &Web) {
    for n in 0..3 {
        let id = format!("https://vscode.dev/oauth/strange{n}.json");
        web.serve(&id, Page::status(500));
        asked(entrada, &id).await;
    }
    let good = "https://vscode.dev/oauth/good.json";
    web.serve(good, document(good, &json!({})));
    assert_eq!(reason(&asked(entrada, good).await), "document_away", "nothing of a stranger is fetched");
}

/// Whether the document is fetched anew when its time has come, though strangers have knocked.
async fn is_fetched(entrada: &Entrada, web: &Web) -> bool {
    mend(web);
    entrada.advance(300);
    knocked(entrada, web).await;
    let before = web.requests(ID);
    assert_eq!(asked(entrada, ID).await.status, 200, "either way it is good");
    web.requests(ID) > before
}

/// An outage, for as long as a copy serves.
async fn outage(entrada: &Entrada, web: &Web) {
    web.serve(ID, Page::status(500));
    entrada.advance(300);
    assert_eq!(asked(entrada, ID).await.status, 200, "by the copy");
}

#[tokio::test]
async fn what_is_used_is_fetched_whatever_strangers_name_at_the_same_host() {
    let (entrada, web) = start().await;
    assert_eq!(asked(&entrada, ID).await.status, 200);
    assert!(!is_fetched(&entrada, &web).await, "nobody has signed in with it");
    entrada.advance(60);
    asked(&entrada, ID).await;
    outage(&entrada, &web).await;
    assert!(!is_fetched(&entrada, &web).await, "an outage makes no use of it");

    entrada.advance(60);
    client(ID).tokens(&entrada).await;
    assert!(is_fetched(&entrada, &web).await);
    entrada.advance(60);
    outage(&entrada, &web).await;
    assert!(is_fetched(&entrada, &web).await, "it is used after an outage as well");
}

#[tokio::test]
async fn what_comes_back_and_is_used_again_is_fetched_whatever_strangers_name() {
    let (entrada, web) = start().await;
    client(ID).tokens(&entrada).await;
    web.serve(ID, Page::status(404));
    entrada.advance(300);
    assert_eq!(reason(&asked(&entrada, ID).await), "document_missing");
    mend(&web);
    entrada.advance(60);
    client(ID).tokens(&entrada).await;
    assert!(is_fetched(&entrada, &web).await);
}

/// An Entrada whose client has its keys at [`KEYS`], and a session of it.
async fn start_by_key() -> (Entrada, Web, Signer, Tokens) {
    let (entrada, web) = start().await;
    let signer = Signer::es256("k1");
    lies_with_keys_at(&web, KEYS);
    web.serve(KEYS, set(&signer));
    let code = client(ID).code(&entrada).await;
    let assertion = signer.assertion(ID, entrada.clock.now());
    let tokens = Tokens::of(&redeem(&entrada, &client(ID), &code, &assertion).await);
    (entrada, web, signer, tokens)
}

fn lies_with_keys_at(web: &Web, address: &str) {
    let more = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": address });
    web.serve(ID, page(ID, &more).header("cache-control", "max-age=86400"));
}

fn set(signer: &Signer) -> Page {
    Page::json(json!({ "keys": [signer.jwk()] }).to_string()).header("cache-control", "max-age=86400")
}

/// What a replica answers the client that refreshes by a key: the status and the error.
async fn refreshed_at(entrada: &Entrada, replica: &Router, signer: &Signer, token: &str) -> (u16, String) {
    let assertion = signer.assertion(ID, entrada.clock.now());
    let form = client(ID).refresh_form(token);
    let answer = entrada.send_to(replica, form_request("/token", &asserted(&form, &assertion))).await;
    (answer.status.as_u16(), if answer.status == 200 { String::new() } else { answer.error() })
}

#[tokio::test]
async fn keys_that_are_used_are_fetched_whatever_strangers_name() {
    let (entrada, web, ..) = start_by_key().await;
    entrada.advance(DAY);
    knocked(&entrada, &web).await;
    assert_eq!(asked(&entrada, ID).await.status, 200);
    assert_eq!((web.requests(ID), web.requests(KEYS)), (2, 2));
}

/// Somebody looks for a key that is not in the set, and before the host has answered another signs in by one that is.
#[tokio::test]
async fn keys_that_come_to_be_used_while_they_are_fetched_are_used_ones() {
    let (entrada, web, signer, tokens) = start_by_key().await;
    let replica = entrada.replica().await;
    let request = || Request::get(client(ID).authorize(&[])).body(Body::empty()).unwrap();
    assert_eq!(entrada.send_to(&replica, request()).await.status, 200);
    let gate = web.hold(KEYS);
    let unknown = Signer::es256("k2");
    let looked_for = refreshed_at(&entrada, &replica, &unknown, &tokens.refresh);
    let meanwhile = async {
        gate.reached(1).await;
        let got_in = refreshed_at(&entrada, &replica, &signer, &tokens.refresh).await;
        gate.open();
        got_in
    };
    let (looked_for, got_in) = tokio::join!(looked_for, meanwhile);
    assert_eq!((looked_for, got_in), ((401, "invalid_client".to_owned()), (200, String::new())));
    entrada.advance(DAY);
    for n in 0..3 {
        let strange = format!("https://vscode.dev/oauth/strange{n}.json");
        web.serve(&strange, Page::status(500));
        entrada
            .send_to(&replica, Request::get(client(&strange).authorize(&[])).body(Body::empty()).unwrap())
            .await;
    }
    let before = web.requests(KEYS);
    assert_eq!(entrada.send_to(&replica, request()).await.status, 200);
    assert_eq!(web.requests(KEYS), before + 1);
}

#[tokio::test]
async fn a_newer_set_of_keys_that_cannot_be_had_is_no_reason_to_go_by_the_old_one() {
    let (entrada, web, signer, tokens) = start_by_key().await;
    web.serve(KEYS, Page::status(500));
    let unknown = Signer::es256("k2");
    let away = (503, "temporarily_unavailable".to_owned());
    assert_eq!(refreshed_at(&entrada, &entrada.router, &unknown, &tokens.refresh).await, away);
    assert_eq!(entrada.events.count(EventName::DocumentKept), 0);
    let assertion = signer.assertion(ID, entrada.clock.now());
    Tokens::of(&refresh(&entrada, &client(ID), &tokens.refresh, &assertion).await);
    entrada.advance(DAY - 1);
    assert_eq!(asked(&entrada, ID).await.status, 200);
    assert_eq!(web.requests(KEYS), 2, "the old one is as good as it was");
}

#[tokio::test]
async fn keys_that_lay_elsewhere_do_not_stand_in() {
    let (entrada, web, signer, tokens) = start_by_key().await;
    lies_with_keys_at(&web, OTHER_KEYS);
    web.serve(OTHER_KEYS, Page::status(500));
    let replica = entrada.replica().await;
    let refused = refreshed_at(&entrada, &replica, &signer, &tokens.refresh).await;
    assert_eq!(refused, (503, "temporarily_unavailable".to_owned()));
    assert_eq!((web.requests(OTHER_KEYS), web.requests(KEYS)), (1, 1));
    web.serve(OTHER_KEYS, set(&signer));
    assert_eq!(refreshed_at(&entrada, &replica, &signer, &tokens.refresh).await.0, 200);
}

#[tokio::test]
async fn what_nobody_has_signed_in_with_ends_as_well() {
    let (entrada, web) = start().await;
    assert_eq!(asked(&entrada, ID).await.status, 200);
    web.serve(ID, Page::status(404));
    entrada.advance(300);
    assert_eq!(reason(&asked(&entrada, ID).await), "document_missing");
    web.serve(ID, Page::status(500));
    assert_eq!(reason(&asked(&entrada, ID).await), "document_away");
}

#[tokio::test]
async fn in_an_outage_the_host_is_asked_once_a_minute_for_what_has_changed() {
    let (entrada, web) = start().await;
    web.serve(ID, page(ID, &json!({})).header("etag", "\"v1\""));
    client(ID).tokens(&entrada).await;
    outage(&entrada, &web).await;
    for (after, requests) in [(0, 2), (59, 2), (1, 3), (59, 3), (1, 4)] {
        entrada.advance(after);
        assert_eq!(asked(&entrada, ID).await.status, 200);
        assert_eq!(web.requests(ID), requests, "{after} s later");
    }
    assert!(web.seen(ID)[1..].iter().all(|seen| seen.headers["if-none-match"] == "\"v1\""));
}

#[tokio::test]
async fn a_copy_is_as_old_as_what_its_host_said_last() {
    let (entrada, web) = start().await;
    web.serve(ID, page(ID, &json!({})).header("etag", "\"v1\""));
    client(ID).tokens(&entrada).await;
    web.serve(ID, Page::status(304));
    entrada.advance(6 * DAY);
    assert_eq!(asked(&entrada, ID).await.status, 200);
    client(ID).tokens(&entrada).await;
    web.serve(ID, Page::status(403));
    let (before, after) = (entrada.replica().await, entrada.replica().await);
    entrada.advance(7 * DAY - 1);
    let request = || Request::get(client(ID).authorize(&[])).body(Body::empty()).unwrap();
    assert_eq!(asked(&entrada, ID).await.status, 200, "\"not modified\" is a confirmation");
    assert_eq!(entrada.send_to(&before, request()).await.status, 200, "in the store as well");
    entrada.advance(1);
    assert_eq!(entrada.send_to(&after, request()).await.status, 503, "a week has gone");
}

#[tokio::test]
async fn a_host_that_rests_uses_up_no_attempt() {
    let (entrada, web) = start().await;
    web.serve(ID, Page::status(500));
    for _ in 0..3 {
        asked(&entrada, ID).await;
    }
    for after in [20, 5, 4] {
        entrada.advance(after);
        assert_eq!(reason(&asked(&entrada, ID).await), "document_away");
    }
    assert_eq!(web.requests(ID), 3);
    mend(&web);
    entrada.advance(1);
    assert_eq!((asked(&entrada, ID).await.status.as_u16(), web.requests(ID)), (200, 4));
}

#[tokio::test]
async fn failures_with_an_answer_between_them_are_not_in_a_row() {
    let (entrada, web) = start().await;
    let ids: Vec<String> = (0..8).map(|n| format!("https://vscode.dev/oauth/{n}.json")).collect();
    for (n, id) in ids.iter().enumerate() {
        web.serve(id, Page::status(if n % 3 == 2 { 404 } else { 500 }));
        asked(&entrada, id).await;
        assert_eq!(web.requests(id), 1, "{id}");
    }
    assert_eq!(asked(&entrada, ID).await.status, 200, "two failures are no three");
}

#[tokio::test]
async fn a_clock_that_was_put_right_lets_nothing_hold_for_longer() {
    let (entrada, web) = start().await;
    web.serve(ID, page(ID, &json!({})).header("cache-control", "max-age=3600"));
    client(ID).tokens(&entrada).await;
    let now = entrada.clock.now();
    entrada.clock.set(now.plus(Duration::from_secs(10 * DAY)));
    assert_eq!((asked(&entrada, ID).await.status.as_u16(), web.requests(ID)), (200, 2));
    knocked(&entrada, &web).await;

    entrada.clock.set(now);
    let good = "https://vscode.dev/oauth/good.json";
    assert_eq!(asked(&entrada, good).await.status, 200, "the host does not rest for ten days");
    assert_eq!((asked(&entrada, ID).await.status.as_u16(), web.requests(ID)), (200, 3));
    entrada.advance(3_599);
    assert_eq!(
        (asked(&entrada, ID).await.status.as_u16(), web.requests(ID)),
        (200, 3),
        "it is fresh by this clock"
    );
    entrada.advance(1);
    assert_eq!((asked(&entrada, ID).await.status.as_u16(), web.requests(ID)), (200, 4));

    let now = entrada.clock.now();
    entrada.clock.set(now.plus(Duration::from_secs(10 * DAY)));
    assert_eq!((asked(&entrada, ID).await.status.as_u16(), web.requests(ID)), (200, 5));
    web.serve(ID, Page::status(500));
    entrada.clock.set(now);
    for requests in [6, 6] {
        assert_eq!(
            (asked(&entrada, ID).await.status.as_u16(), web.requests(ID)),
            (200, requests),
            "by the copy"
        );
    }
    entrada.advance(7 * DAY);
    assert_eq!(reason(&asked(&entrada, ID).await), "document_away", "which lasts a week by this clock");
}

/// Every address has a document, for a day.
#[derive(Default)]
struct Everywhere(Mutex<HashMap<Url, usize>>);

#[async_trait]
impl ClientDocuments for Everywhere {
    async fn fetch(&self, url: &Url, _: &Validators) -> Result<Fetched, NotFetched> {
        *self.0.lock().unwrap().entry(url.clone()).or_default() += 1;
        let text = Some(document(url.as_str(), &json!({})).to_string());
        Ok(Fetched { text, validators: Validators::default(), fresh_for: Duration::from_secs(DAY) })
    }
}

#[tokio::test]
async fn strange_documents_are_bounded_and_push_no_used_one_out() {
    let web = Arc::new(Everywhere::default());
    let there = Arc::clone(&web);
    let documents = Box::new(move |_| Arc::clone(&there) as _);
    let entrada = Entrada::with(Setup { documents, ..Setup::default() }).await;
    client(ID).tokens(&entrada).await;
    let strange: Vec<String> = (0..1_500).map(|n| format!("https://vscode.dev/oauth/{n}.json")).collect();
    for id in strange.iter().chain(&strange) {
        entrada.advance(1);
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", id)];
        assert_eq!(entrada.post_form("/token", &form).await.error(), "invalid_grant", "{id} is known");
    }
    assert_eq!(asked(&entrada, ID).await.status, 200);
    let fetched = web.0.lock().unwrap();
    assert_eq!(fetched[&Url::parse(ID).unwrap()], 1);
    let kept = fetched.values().filter(|times| **times == 1).count();
    assert!((2..1_200).contains(&kept), "{kept}: 500, and what is not yet seen to be too many");
}

#[tokio::test]
async fn a_flood_reads_6000_copies_a_minute_from_the_store_and_no_more() {
    let (store, decorate) = counted();
    let entrada = Entrada::with(Setup { decorate, ..Setup::default() }).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", ID)];
    for (after, asked, copies) in [(0, 6_010, 6_000), (1, 110, 100)] {
        entrada.advance(after);
        store.take();
        for _ in 0..asked {
            assert_eq!(entrada.post_form("/token", &form).await.status, 503);
        }
        assert_eq!(store.take().iter().filter(|operation| *operation == "read client").count(), copies);
    }
}

/// Says that nothing has changed, whether anything was known or not.
struct Unchanged;

#[async_trait]
impl ClientDocuments for Unchanged {
    async fn fetch(&self, _: &Url, _: &Validators) -> Result<Fetched, NotFetched> {
        Ok(Fetched { text: None, validators: Validators::default(), fresh_for: Duration::from_secs(DAY) })
    }
}

#[tokio::test]
async fn what_has_not_changed_and_was_never_known_is_no_document() {
    let documents = Box::new(|_| Arc::new(Unchanged) as _);
    let entrada = Entrada::with(Setup { documents, ..Setup::default() }).await;
    assert_eq!(reason(&asked(&entrada, ID).await), "document_not_json");
}
