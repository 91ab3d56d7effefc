//! What is streamed arrives as it is sent, both ways, and ends when either end goes.

use std::time::Duration;

use crate::gateway::tools::every_tool_needs_a_scope;
use crate::gateway::wire::Wire;

const EVENTS: &str = "text/event-stream";
const CHUNKED: &str = "transfer-encoding: chunked\r\n";

#[tokio::test]
async fn each_event_arrives_before_the_next_is_sent() {
    let wire = Wire::new().await;
    let mut client = wire.ask("GET", "accept: text/event-stream\r\n").await;
    let mut upstream = wire.asked().await;
    upstream.streams(EVENTS).await;
    assert_eq!(client.status().await, 200);
    for n in 1..=3 {
        let event = format!("data: {n}\n\n");
        upstream.chunk(&event).await;
        client.until(&event).await;
    }
    upstream.say("0\r\n\r\n").await;
    client.until("0\r\n\r\n").await;
}

#[tokio::test]
async fn each_piece_of_a_request_arrives_before_the_next_is_sent() {
    let wire = Wire::new().await;
    let mut client = wire.ask("POST", CHUNKED).await;
    client.chunk("{\"a\":").await;
    let mut upstream = wire.asked().await;
    upstream.until("{\"a\":").await;
    client.chunk("1}").await;
    upstream.until("1}").await;
    client.say("0\r\n\r\n").await;
    upstream.until("0\r\n\r\n").await;
    upstream.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    client.until("\r\n\r\nok").await;
}

#[tokio::test]
async fn who_hangs_up_ends_the_request_at_the_upstream() {
    let wire = Wire::new().await;
    // Before there is an answer, in the midst of one, and in the midst of the question.
    let mut client = wire.ask("POST", "content-length: 2\r\n").await;
    client.say("{}").await;
    let mut waiting = wire.asked().await;
    drop(client);
    waiting.hung_up().await;
    let mut client = wire.ask("GET", "").await;
    let mut streaming = wire.asked().await;
    streaming.streams(EVENTS).await;
    client.status().await;
    drop(client);
    streaming.hung_up().await;
    let mut client = wire.ask("POST", CHUNKED).await;
    client.chunk("{").await;
    let mut asking = wire.asked().await;
    drop(client);
    asking.hung_up().await;
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_seen_to() {
    let wire = Wire::new().await;
    for head in ["content-length: 100\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"] {
        let mut client = wire.ask("POST", "content-length: 0\r\n").await;
        let mut upstream = wire.asked().await;
        upstream.say(&format!("HTTP/1.1 200 OK\r\n{head}")).await;
        client.until("{").await;
        drop(upstream);
        client.hung_up().await;
        assert!(!client.heard.contains("\r\n0\r\n"), "it does not look whole: {}", client.heard);
    }
}

/// Nothing is held here but what lies in the buffers of the sockets and one piece or two.
#[tokio::test]
async fn a_reader_that_is_slow_slows_the_upstream_down() {
    let wire = Wire::new().await;
    let mut client = wire.ask("GET", "").await;
    let mut upstream = wire.asked().await;
    upstream.say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40)).await;
    assert_eq!(client.status().await, 200);
    let sent = upstream.fill().await;
    assert!(sent < 64 * 1024 * 1024, "{sent} bytes were taken that nobody reads");
}

#[tokio::test]
async fn half_a_connection_still_gets_its_answer_or_an_end() {
    let wire = Wire::new().await;
    let mut client = wire.ask("POST", "content-length: 2\r\n").await;
    client.say("{}").await;
    client.half_close().await;
    client.hung_up().await;
}

#[tokio::test]
async fn an_upstream_that_does_not_begin_is_a_timeout_and_one_that_falls_silent_an_end() {
    let wire = Wire::with(|resource| {
        resource.forwarding.first_byte_timeout = Duration::from_millis(50);
        resource.forwarding.idle_timeout = Duration::from_millis(50);
    })
    .await;
    let mut client = wire.ask("POST", "content-length: 0\r\n").await;
    let mut upstream = wire.asked().await;
    assert_eq!(client.status().await, 504);
    client.until("takes too long").await;
    upstream.hung_up().await;
    let mut client = wire.ask("POST", "content-length: 0\r\n").await;
    let mut upstream = wire.asked().await;
    upstream.say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe").await;
    client.hung_up().await;
    assert!(client.heard.ends_with("he"), "{}", client.heard);
    upstream.hung_up().await;
}

/// Who sends slowly takes room from others, and all of them together not more than there is.
#[tokio::test]
async fn bodies_that_rules_hold_have_so_much_room_and_no_more() {
    const LIMIT: usize = 64 * 1024 * 1024;
    let wire = Wire::with(|resource| {
        resource.forwarding.body_limit = LIMIT;
        every_tool_needs_a_scope(resource);
    })
    .await;
    let kind = "content-type: application/json\r\n";
    let mut greedy = wire.ask("POST", &format!("{kind}content-length: {LIMIT}\r\n")).await;
    let piece = " ".repeat(64 * 1024);
    for _ in 0..LIMIT / piece.len() - 1 {
        greedy.say(&piece).await;
    }
    greedy.say(&piece[1..]).await;
    greedy.reached().await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let ask = format!("{kind}content-length: {}\r\n", call.len());
    let mut other = wire.ask("POST", &ask).await;
    other.say(call).await;
    assert_eq!(other.status().await, 503);
    assert!(other.heard.contains("retry-after: 5"), "{}", other.heard);
    drop(greedy);
    let mut again = wire.ask("POST", &ask).await;
    again.reached().await;
    again.say(call).await;
    let mut upstream = wire.asked().await;
    upstream.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(again.status().await, 200);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_told_or_not() {
    let wire = Wire::with(|resource| resource.forwarding.body_limit = 10).await;
    let mut client = wire.ask("POST", "content-length: 11\r\n").await;
    assert_eq!(client.status().await, 413);
    let mut client = wire.ask("POST", CHUNKED).await;
    client.chunk("0123456789").await;
    let mut upstream = wire.asked().await;
    upstream.until("0123456789").await;
    client.chunk("x").await;
    assert_eq!(client.status().await, 413);
    upstream.hung_up().await;
    assert!(!upstream.heard.contains('x') || !upstream.heard.ends_with("0\r\n\r\n"));
}
