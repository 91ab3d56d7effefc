//! How often documents are fetched, how long they are kept, and what happens when they cannot be had.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use entrada::domain::event::EventName;
use entrada::domain::trust::Trust;
use futures_util::future::join_all;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::client::Tokens;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::page::Manner;
use crate::support::page::Page;
use crate::support::published::ID;
use crate::support::published::asked;
use crate::support::published::client;
use crate::support::published::document;
use crate::support::published::mend;
use crate::support::published::page;
use crate::support::published::reason;
use crate::support::published::refusal;
use crate::support::published::start;
use crate::support::published::start_with;
use crate::support::race::Course;
use crate::support::race::Raced;

const DAY: u64 = 24 * 3600;

/// What a replica answers a browser that comes for the client.
async fn asked_at(entrada: &Entrada, replica: &Router) -> Answer {
    let request = Request::get(client(ID).authorize(&[])).body(Body::empty()).unwrap();
    entrada.send_to(replica, request).await
}

#[tokio::test]
async fn a_document_is_kept_as_long_as_http_says_between_five_minutes_and_a_day() {
    for (headers, kept) in [
        (&[][..], 300),
        (&[("cache-control", "max-age=0")], 300),
        (&[("cache-control", "no-store")], 300),
        (&[("cache-control", "max-age=299")], 300),
        (&[("cache-control", "max-age=3600")], 3_600),
        (&[("cache-control", "public, max-age=3600"), ("age", "600")], 3_000),
        (&[("cache-control", "max-age=31536000, immutable")], DAY),
    ] {
        let (entrada, web) = start().await;
        let page = headers.iter().fold(page(ID, &json!({})), |page, (name, value)| page.header(name, value));
        web.serve(ID, page);
        for (after, requests) in [(0, 1), (kept - 1, 1), (1, 2)] {
            entrada.advance(after);
            assert_eq!(asked(&entrada, ID).await.status, 200);
            assert_eq!(web.requests(ID), requests, "{headers:?}, {after} s later");
        }
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again_and_is_good_for_as_long_again() {
    let (entrada, web) = start().await;
    web.serve(ID, page(ID, &json!({})).header("etag", "\"v1\""));
    asked(&entrada, ID).await;
    web.serve(ID, Page::status(304).header("etag", "\"v1\"").header("cache-control", "max-age=600"));
    entrada.advance(300);
    assert_eq!(asked(&entrada, ID).await.status, 200);
    assert_eq!(web.seen(ID)[1].headers["if-none-match"], "\"v1\"");
    entrada.advance(599);
    assert_eq!((asked(&entrada, ID).await.status.as_u16(), web.requests(ID)), (200, 2));
    entrada.advance(1);
    assert_eq!((asked(&entrada, ID).await.status.as_u16(), web.requests(ID)), (200, 3));
}

#[tokio::test]
async fn many_who_come_at_once_share_one_fetch_and_its_failure() {
    let (entrada, web) = start().await;
    for (answer, status) in [(page(ID, &json!({})), 200), (Page::status(500), 503), (Page::status(404), 400)]
    {
        let before = web.requests(ID);
        web.serve(ID, answer);
        entrada.advance(DAY * 8);
        let gate = web.hold(ID);
        let all = join_all((0..20).map(|_| asked(&entrada, ID)));
        let open = async {
            gate.reached(1).await;
            // Those who come later wait at the same gate if they fetch by themselves.
            tokio::task::yield_now().await;
            gate.open();
        };
        let (all, ()) = tokio::join!(all, open);
        assert!(all.iter().all(|answer| answer.status == status), "{status}");
        assert_eq!(web.requests(ID) - before, 1, "{status}");
    }
}

#[tokio::test]
async fn a_host_that_does_not_give_it_is_a_503_that_says_so_and_costs_no_client_its_sign_in() {
    for (answer, status) in [
        (Page::status(403), "status 403"),
        (Page::status(429), "status 429"),
        (Page::status(500), "status 5xx"),
        (Page::status(503), "status 5xx"),
        (Page::status(408), "status 408, 421 or 425"),
        (Page::status(421), "status 408, 421 or 425"),
        (Page::status(425), "status 408, 421 or 425"),
    ] {
        let (entrada, web) = start().await;
        web.serve(ID, answer);
        let page = asked(&entrada, ID).await;
        assert_eq!((page.status.as_u16(), reason(&page)), (503, "document_away"), "{status}");
        assert_eq!(page.header("retry-after"), "5");
        assert!(page.body.contains("vscode.dev"), "{}", page.body);
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", ID)];
        let refused = entrada.post_form("/token", &form).await;
        let (code, error) = (refused.status.as_u16(), refused.error());
        assert_eq!(
            (code, error.as_str(), refused.header("retry-after")),
            (503, "temporarily_unavailable", "5")
        );
        assert_eq!(refusal(&entrada).1, status);
        mend(&web);
        assert_eq!(
            asked(&entrada, ID).await.status,
            200,
            "the next attempt succeeds: no failure is remembered"
        );
    }
    let (entrada, web) = start().await;
    web.unname("vscode.dev");
    assert_eq!(reason(&asked(&entrada, ID).await), "document_away");
    web.claim("vscode.dev", &["127.0.0.1"]);
    assert_eq!(reason(&asked(&entrada, ID).await), "document_away");
    assert_eq!(web.connections().await, 0, "a name that leads inside is not connected to");
    web.claim("vscode.dev", &["8.8.4.4"]);
    web.serve(ID, page(ID, &json!({})).manner(Manner::Broken));
    entrada.advance(60);
    assert_eq!(reason(&asked(&entrada, ID).await), "document_away");
}

#[tokio::test]
async fn what_is_no_document_is_told_from_what_was_not_fetched() {
    let elsewhere = "https://vscode.dev/oauth/other.json";
    for (answer, wanted) in [
        (Page::status(404), "document_missing"),
        (Page::status(410), "document_missing"),
        (Page::redirect(elsewhere), "document_unusable"),
        (Page::status(401), "document_unusable"),
        (Page::new(200, "<html></html>").header("content-type", "text/html"), "document_unusable"),
        (Page::json(vec![b' '; 5 * 1024 + 1]), "document_unusable"),
    ] {
        let (entrada, web) = start().await;
        web.serve(elsewhere, document(ID, &json!({})));
        web.serve(ID, answer);
        let page = asked(&entrada, ID).await;
        assert_eq!((page.status.as_u16(), reason(&page)), (400, wanted));
        assert_eq!(page.header("location"), "");
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", ID)];
        let refused = entrada.post_form("/token", &form).await;
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (401, "invalid_client"), "{wanted}");
        assert_eq!(web.requests(elsewhere), 0);
    }
}

#[tokio::test]
async fn the_last_good_copy_serves_for_a_week_here_and_on_a_replica_that_never_had_it() {
    let (entrada, web) = start().await;
    let tokens = client(ID).tokens(&entrada).await;
    web.serve(ID, Page::status(403));
    entrada.advance(300);
    let refreshed = Tokens::of(&client(ID).refresh(&entrada, &tokens.refresh).await);
    assert_eq!(web.requests(ID), 2);
    assert_eq!(entrada.events.count(EventName::DocumentKept), 1);
    let event = entrada.events.last(EventName::DocumentKept).unwrap();
    assert_eq!((event.document_host.as_deref(), event.call), (Some("vscode.dev"), Some("metadata")));

    let replica = entrada.replica().await;
    let page = asked_at(&entrada, &replica).await;
    assert_eq!(page.status, 200, "from the record of the client: {}", page.body);
    assert!(page.body.contains("Visual Studio Code") && page.body.contains("vscode.dev"));
    entrada.advance(7 * DAY - 301);
    assert_eq!(asked(&entrada, ID).await.status, 200);
    assert_eq!(asked_at(&entrada, &entrada.replica().await).await.status, 200);
    entrada.advance(61);
    for page in [asked(&entrada, ID).await, asked_at(&entrada, &entrada.replica().await).await] {
        assert_eq!((page.status.as_u16(), reason(&page)), (503, "document_away"), "it is too old");
    }
    let form = client(ID).refresh_form(&refreshed.refresh);
    let form: Vec<_> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(entrada.post_form("/token", &form).await.status, 503);
    mend(&web);
    entrada.advance(60);
    Tokens::of(&entrada.post_form("/token", &form).await);
}

#[tokio::test]
async fn there_is_no_copy_of_what_nobody_has_signed_in_with() {
    let (entrada, web) = start().await;
    assert_eq!(asked(&entrada, ID).await.status, 200);
    web.serve(ID, Page::status(500));
    let page = asked_at(&entrada, &entrada.replica().await).await;
    assert_eq!((page.status.as_u16(), reason(&page)), (503, "document_away"));
}

#[tokio::test]
async fn what_its_host_takes_back_ends_and_no_copy_brings_it_to_life() {
    for (answer, wanted) in [
        (Page::status(404), "document_missing"),
        (Page::status(410), "document_missing"),
        (Page::redirect("https://vscode.dev/"), "document_unusable"),
        (Page::json("{}"), "document_client_id"),
    ] {
        let (entrada, web) = start().await;
        let tokens = client(ID).tokens(&entrada).await;
        web.serve(ID, answer);
        entrada.advance(300);
        assert_eq!(reason(&asked(&entrada, ID).await), wanted);
        web.serve(ID, Page::status(500));
        entrada.advance(30);
        assert_eq!(reason(&asked(&entrada, ID).await), "document_away", "after {wanted}");
        assert_eq!(client(ID).refresh(&entrada, &tokens.refresh).await.status, 503);
        mend(&web);
        entrada.advance(60);
        Tokens::of(&client(ID).refresh(&entrada, &tokens.refresh).await);
        web.serve(ID, Page::status(500));
        entrada.advance(300);
        assert_eq!(asked(&entrada, ID).await.status, 200, "what is good again has a copy again");
    }
}

#[tokio::test]
async fn a_copy_lasts_for_a_client_that_only_refreshes() {
    let (entrada, web) = start().await;
    let mut tokens = client(ID).tokens(&entrada).await;
    for _ in 0..10 {
        entrada.advance(DAY);
        tokens = Tokens::of(&client(ID).refresh(&entrada, &tokens.refresh).await);
    }
    web.serve(ID, Page::status(403));
    let replica = entrada.replica().await;
    let form = client(ID).refresh_form(&tokens.refresh);
    let form: Vec<_> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    Tokens::of(&entrada.send_to(&replica, form_request("/token", &form)).await);
}

#[tokio::test]
async fn forty_who_fail_are_not_forty_fetches() {
    for (answer, fetches, then) in
        [(Page::status(500), 3, "document_away"), (Page::status(404), 3, "document_limited")]
    {
        let (entrada, web) = start().await;
        web.serve(ID, answer);
        for n in 0..40 {
            let page = asked(&entrada, ID).await;
            assert!([400, 503].contains(&page.status.as_u16()));
            if n >= fetches {
                let told = (page.status.as_u16(), reason(&page), page.header("retry-after"));
                assert_eq!(told, (503, then, "5"));
            }
        }
        assert_eq!(web.requests(ID), fetches);
    }
}

#[tokio::test]
async fn a_host_that_is_down_is_left_alone_for_half_a_minute_and_then_asked_once() {
    let (entrada, web) = start().await;
    let others: Vec<String> = (0..40).map(|n| format!("https://vscode.dev/oauth/{n}.json")).collect();
    let total = || others.iter().map(|id| web.requests(id)).sum::<usize>();
    for id in &others {
        web.serve(id, Page::status(500));
    }
    for id in &others[..20] {
        assert_eq!(reason(&asked(&entrada, id).await), "document_away");
    }
    assert_eq!(total(), 3);
    entrada.advance(29);
    assert_eq!((asked(&entrada, &others[20]).await.status.as_u16(), total()), (503, 3));
    entrada.advance(1);
    for id in &others[21..30] {
        assert_eq!(asked(&entrada, id).await.status, 503);
    }
    assert_eq!(total(), 4, "one tells for all");
    let elsewhere = "https://claude.ai/oauth/claude-code-client-metadata";
    web.serve(elsewhere, document(elsewhere, &json!({ "client_name": "Claude Code" })));
    assert_eq!(asked(&entrada, elsewhere).await.status, 200, "another host is another matter");
    entrada.advance(30);
    assert_eq!(asked(&entrada, ID).await.status, 200, "it answers again");
    web.serve(&others[31], document(&others[31], &json!({})));
    assert_eq!(asked(&entrada, &others[31]).await.status, 200, "and is asked as before");
}

#[tokio::test]
async fn while_one_asks_a_host_that_was_down_the_others_wait_for_half_a_minute() {
    let (entrada, web) = start().await;
    let ids: Vec<String> = (0..8).map(|n| format!("https://vscode.dev/oauth/{n}.json")).collect();
    for id in &ids {
        web.serve(id, Page::status(500));
    }
    for id in &ids[..3] {
        asked(&entrada, id).await;
    }
    entrada.advance(30);
    let gate = web.hold(&ids[3]);
    let others = async {
        gate.reached(1).await;
        for (after, id, requests) in [(0, &ids[4], 0), (29, &ids[4], 0), (1, &ids[5], 1)] {
            entrada.advance(after);
            assert_eq!(reason(&asked(&entrada, id).await), "document_away");
            assert_eq!(web.requests(id), requests, "{after} s later");
        }
        entrada.advance(20);
        gate.open();
    };
    let (first, ()) = tokio::join!(asked(&entrada, &ids[3]), others);
    assert_eq!(reason(&first), "document_away");
    for (after, id, requests) in [(29, &ids[6], 0), (1, &ids[7], 1)] {
        entrada.advance(after);
        asked(&entrada, id).await;
        assert_eq!(web.requests(id), requests, "{after} s after the last failure");
    }
}

#[tokio::test]
async fn a_flood_of_strange_addresses_is_bounded_and_touches_no_client_that_is_used() {
    let trust = Trust { open: true, ..Trust::default() };
    let (entrada, web) = start_with(Setup { trust, ..Setup::default() }).await;
    client(ID).tokens(&entrada).await;
    for n in 0..200 {
        let id = format!("https://vscode.dev/oauth/{n}.json");
        web.serve(&id, Page::status(404));
        asked(&entrada, &id).await;
    }
    let at_host: usize = (0..200).map(|n| web.requests(&format!("https://vscode.dev/oauth/{n}.json"))).sum();
    assert_eq!(at_host, 59, "a minute's worth at one host, of which the first was the good one");
    let elsewhere: Vec<String> = (0..200).map(|n| format!("https://h{n}.example.com/c")).collect();
    for id in &elsewhere {
        web.serve(id, document(id, &json!({ "client_name": "Acme" })));
        asked(&entrada, id).await;
    }
    let all: usize = elsewhere.iter().map(|id| web.requests(id)).sum();
    assert_eq!(all, 60, "and at all hosts together");
    web.serve(ID, page(ID, &json!({ "client_name": "VS Code" })));
    entrada.advance(300);
    // The flood goes on.
    for n in 200..300 {
        asked(&entrada, &format!("https://vscode.dev/oauth/{n}.json")).await;
    }
    assert!(asked(&entrada, ID).await.body.contains("VS Code</bdi>"), "it is fetched anew all the same");
}

#[tokio::test]
async fn strangers_cost_no_write_and_no_read_while_documents_can_be_had() {
    let course = Arc::new(Course::default());
    let there = Arc::clone(&course);
    let decorate = move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _;
    let (entrada, web) = start_with(Setup { decorate: Box::new(decorate), ..Setup::default() }).await;
    asked(&entrada, "edc_none").await;
    Browser::default().open(&entrada, &client(ID).authorize(&[])).await;
    course.counts();
    for id in [ID, "https://vscode.dev/oauth/none.json", "https://app.example.com/c", "https://vscode.dev"] {
        asked(&entrada, id).await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", id)];
        entrada.post_form("/token", &form).await;
    }
    assert_eq!(course.counts(), (0, 0));
    web.serve(ID, Page::status(500));
    entrada.advance(300);
    asked(&entrada, "https://vscode.dev/oauth/none.json").await;
    course.counts();
    assert_eq!(asked(&entrada, ID).await.status, 200, "the copy in memory");
    assert_eq!(course.counts(), (0, 0));
    assert_eq!(reason(&asked_at(&entrada, &entrada.replica().await).await), "document_away");
    let (_, writes) = course.counts();
    assert_eq!(writes, 0, "only a copy that might be in the store is looked for");
}
