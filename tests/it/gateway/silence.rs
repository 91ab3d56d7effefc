//! A stream on which nothing is said: what keeps it open, and what ends it. Here the runtime's clock stands still, and
//! goes on by itself to the next instant that anybody waits for.

use std::time::Duration;

use entrada::domain::event::EventName;
use entrada::flows::block::Target;

use crate::gateway::policy::groups;
use crate::gateway::tools::every_tool_needs_a_scope;
use crate::gateway::wire::Talk;
use crate::gateway::wire::Wire;
use crate::support::entrada::form_request;

const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// A stream of events with this at its beginning.
pub async fn streaming(wire: &Wire, kind: &str, first: &str) -> (Talk, Talk) {
    let mut client = wire.ask("GET", "").await;
    let mut upstream = wire.asked().await;
    upstream.streams(kind).await;
    upstream.chunk(first).await;
    client.until(first).await;
    (client, upstream)
}

#[tokio::test]
async fn between_two_events_a_silent_stream_gets_a_comment() {
    let wire = Wire::new().await;
    let (mut client, mut upstream) =
        streaming(&wire, "text/event-stream; charset=utf-8", "data: 1\n\n").await;
    tokio::time::pause();
    client.until(KEEP_ALIVE).await;
    tokio::time::resume();
    upstream.chunk("data: 2\n\n").await;
    client.until("data: 2\n\n").await;
}

#[tokio::test]
async fn within_an_event_and_elsewhere_than_in_events_nothing_is_put() {
    let wire = Wire::with(|resource| resource.forwarding.idle_timeout = Duration::from_mins(3)).await;
    for (kind, text) in [("text/event-stream", "data: half\n"), ("application/json", "{\n\n")] {
        let (mut client, _upstream) = streaming(&wire, kind, text).await;
        tokio::time::pause();
        client.hung_up().await;
        tokio::time::resume();
        assert!(!client.heard.contains("keep-alive"), "{kind}: {}", client.heard);
        assert!(!client.heard.contains("\r\n0\r\n"), "{kind}: what is torn does not look whole");
    }
}

#[tokio::test]
async fn a_stream_whose_session_has_ended_ends_at_the_next_look() {
    let wire = Wire::new().await;
    let (mut client, mut upstream) = streaming(&wire, "text/event-stream", "data: 1\n\n").await;
    wire.revoke().await;
    tokio::time::pause();
    client.until("0\r\n\r\n").await;
    upstream.hung_up().await;
}

/// It is looked at though it is never silent.
#[tokio::test]
async fn a_busy_stream_ends_as_well() {
    let wire = Wire::new().await;
    let (mut client, mut upstream) = streaming(&wire, "text/event-stream", "data: 1\n\n").await;
    wire.entrada.advance(26);
    upstream.chunk("data: 2\n\n").await;
    client.until("data: 2\n\n").await;
    wire.revoke().await;
    tokio::time::pause();
    for n in 3.. {
        // Seconds go by, and something comes in each of them.
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(n < 40, "it goes on: {}", client.heard);
        let event = format!("data: {n}\n\n");
        if !upstream.tries(&format!("{:x}\r\n{event}\r\n", event.len())).await {
            break;
        }
    }
    client.hung_up().await;
    assert!(client.heard.ends_with("0\r\n\r\n"), "{}", client.heard);
}

/// What another replica has ended is known within 30 s here, though the grant was looked at a moment before.
#[tokio::test]
async fn a_stream_ends_within_30_seconds_of_the_end_of_its_session_elsewhere() {
    let wire = Wire::new().await;
    let (mut client, _upstream) = streaming(&wire, "text/event-stream", "data: 1\n\n").await;
    let other = wire.entrada.replica().await;
    let form = [("client_id", wire.client.id.as_str()), ("token", &wire.tokens.refresh)];
    let revoked = wire.entrada.send_to(&other, form_request("/revoke", &form)).await;
    assert_eq!(revoked.status, 200);
    wire.entrada.advance(20);
    tokio::time::pause();
    let ends = tokio::time::timeout(Duration::from_secs(6), client.until("0\r\n\r\n"));
    ends.await.expect("20 s have gone by, and 10 s are left");
}

#[tokio::test]
async fn a_stream_ends_with_the_block_of_its_client_and_with_the_permission_of_its_person() {
    let wire = Wire::new().await;
    let (mut client, mut upstream) = streaming(&wire, "text/event-stream", "data: 1\n\n").await;
    let target = Target::Client(wire.client.id.as_str().to_owned());
    wire.entrada.auth.block(target).await.unwrap();
    tokio::time::pause();
    client.until("0\r\n\r\n").await;
    upstream.hung_up().await;
    tokio::time::resume();

    let wire = Wire::with(|resource| resource.allowed = groups()).await;
    let (mut client, mut upstream) = streaming(&wire, "text/event-stream", "data: 1\n\n").await;
    wire.entrada.script.lie(|_, token| {
        token.claims.remove("groups");
    });
    wire.entrada.advance(301);
    let answer = wire.client.refresh(&wire.entrada, &wire.tokens.refresh).await;
    assert_eq!(answer.error(), "invalid_grant");
    tokio::time::pause();
    client.until("0\r\n\r\n").await;
    upstream.hung_up().await;
}

/// The server thinks about it, and says nothing yet: the call is not waited for any longer, nor what it brings given away.
#[tokio::test]
async fn a_call_that_its_server_thinks_about_ends_with_its_session() {
    let wire = Wire::new().await;
    let mut client = wire.ask("POST", "content-length: 2\r\n").await;
    client.say("{}").await;
    let mut upstream = wire.asked().await;
    wire.revoke().await;
    tokio::time::pause();
    assert_eq!(client.status().await, 403, "who is told to sign in makes the call again");
    assert!(client.heard.contains("may have been carried out"), "{}", client.heard);
    upstream.hung_up().await;
    assert_eq!(wire.entrada.events.reasons(EventName::RequestRefused), ["ended_meanwhile"]);
}

/// A body is sent on for as long as its sender stands.
#[tokio::test]
async fn a_body_that_is_sent_on_piece_by_piece_ends_with_its_session() {
    let wire = Wire::new().await;
    let mut client = wire.ask("POST", "content-length: 1000\r\n").await;
    client.say("{").await;
    let mut upstream = wire.asked().await;
    upstream.until("{").await;
    wire.revoke().await;
    tokio::time::pause();
    assert_eq!(client.status().await, 403);
    upstream.hung_up().await;
}

/// The stream of a call that has no result yet must not look as if it were whole.
#[tokio::test]
async fn the_stream_of_a_call_that_is_cut_off_does_not_look_whole() {
    for broken in [true, false] {
        let wire = Wire::new().await;
        let mut client = wire.ask("POST", "content-length: 2\r\n").await;
        client.say("{}").await;
        let mut upstream = wire.asked().await;
        upstream.streams("text/event-stream").await;
        upstream.chunk("data: progress\n\n").await;
        client.until("progress").await;
        match broken {
            true => drop(upstream),
            false => wire.revoke().await,
        }
        tokio::time::pause();
        client.hung_up().await;
        tokio::time::resume();
        assert!(!client.heard.contains("\r\n0\r\n"), "broken: {broken}: {}", client.heard);
    }
}

/// All buffers are full, and nobody asks for more of the answer.
#[tokio::test]
async fn an_answer_that_nobody_reads_ends_with_its_session_and_after_its_time() {
    for revoked in [true, false] {
        let wire = Wire::with(|resource| resource.forwarding.idle_timeout = Duration::from_mins(2)).await;
        let mut client = wire.ask("GET", "").await;
        let mut upstream = wire.asked().await;
        upstream.say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40)).await;
        assert_eq!(client.status().await, 200);
        upstream.fill().await;
        if revoked {
            wire.revoke().await;
        }
        tokio::time::pause();
        let patience = Duration::from_secs(if revoked { 6 } else { 126 });
        tokio::time::timeout(patience, upstream.hung_up()).await.expect("the upstream is not let go");
        tokio::time::resume();
    }
}

/// Another replica will take a stream up again; a call it cannot.
#[tokio::test]
async fn when_the_program_stops_streams_that_clients_open_again_end_and_calls_do_not() {
    let wire = Wire::new().await;
    let (mut stream, mut behind) = streaming(&wire, "text/event-stream", "data: 1\n\n").await;
    let (mut torn, mut behind_torn) = streaming(&wire, "text/event-stream", "data: half\n").await;
    let mut call = wire.ask("POST", "content-length: 2\r\n").await;
    call.say("{}").await;
    let mut server = wire.asked().await;
    server.streams("text/event-stream").await;
    server.chunk("data: progress\n\n").await;
    call.until("progress").await;
    wire.entrada.auth.let_go();
    stream.until("0\r\n\r\n").await;
    behind.hung_up().await;
    behind_torn.chunk("data: other half\n\n").await;
    torn.until("0\r\n\r\n").await;
    server.chunk("data: result\n\n").await;
    call.until("result").await;
    let (mut late, mut behind) = streaming(&wire, "text/event-stream", "").await;
    late.until("0\r\n\r\n").await;
    behind.hung_up().await;
}

/// A call whose body is dripped is judged as its caller is when it is whole.
#[tokio::test]
async fn a_call_that_was_begun_before_the_end_of_its_session_is_not_made_after_it() {
    let wire = Wire::with(every_tool_needs_a_scope).await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_all"}}"#;
    let length = format!("content-type: application/json\r\ncontent-length: {}\r\n", call.len());
    let mut client = wire.ask("POST", &length).await;
    client.say(&call[..10]).await;
    client.reached().await;
    wire.revoke().await;
    client.say(&call[10..]).await;
    assert_eq!(client.status().await, 401);
    assert!(wire.is_left_alone(), "it was made");
    let mut client = wire.ask("POST", &length).await;
    assert_eq!(client.status().await, 401, "and none is begun");
}

#[tokio::test]
async fn a_body_that_is_dripped_is_given_up_where_it_is_waited_for() {
    let wire = Wire::with(every_tool_needs_a_scope).await;
    let mut client = wire.ask("POST", "content-type: application/json\r\ncontent-length: 1000\r\n").await;
    client.say("{").await;
    tokio::time::pause();
    for _ in 0..4 {
        tokio::time::advance(Duration::from_secs(20)).await;
        client.tries(" ").await;
    }
    assert_eq!(client.status().await, 408);
}

#[tokio::test]
async fn an_answer_that_is_torn_by_the_end_of_its_session_does_not_look_whole() {
    let wire = Wire::new().await;
    let (mut client, mut upstream) = streaming(&wire, "application/json", "{").await;
    wire.revoke().await;
    tokio::time::pause();
    client.hung_up().await;
    assert!(!client.heard.contains("\r\n0\r\n"), "{}", client.heard);
    upstream.hung_up().await;
}

#[tokio::test]
async fn a_request_body_that_stops_coming_is_given_up() {
    let wire = Wire::new().await;
    let mut client = wire.ask("POST", "content-length: 10\r\n").await;
    client.say("{").await;
    let mut upstream = wire.asked().await;
    upstream.until("{").await;
    tokio::time::pause();
    assert_eq!(client.status().await, 408);
    upstream.hung_up().await;
}
