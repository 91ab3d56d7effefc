//! Requests and answers that mean ill, as bytes.

use crate::gateway::wire::Wire;

/// Which status it gets, if any; no upstream hears of it.
#[tokio::test]
async fn a_request_that_could_be_read_in_two_ways_reaches_no_upstream() {
    let wire = Wire::new().await;
    let long = format!("x-long: {}\r\n", "a".repeat(100_000));
    for (method, target, more, statuses) in [
        ("POST", "/mcp", "content-length: 4\r\ncontent-length: 5\r\n", &[400][..]),
        ("POST", "/mcp", "content-length: +4\r\n", &[400]),
        ("POST", "/mcp", "transfer-encoding: chunked, identity\r\n", &[400]),
        ("POST", "/mcp", "x: a\r\n b\r\n", &[400]),
        ("POST", "/mcp", "x : a\r\n", &[400]),
        ("POST", "/mcp", "authorization: Bearer other\r\ncontent-length: 0\r\n", &[400]),
        ("POST", "https://evil.example/mcp", "content-length: 0\r\n", &[421]),
        ("POST", "/mcp/../admin", "content-length: 0\r\n", &[400]),
        ("POST", "/mcp/%2e%2e/admin", "content-length: 0\r\n", &[400]),
        ("POST", "/mcp/..%2fadmin", "content-length: 0\r\n", &[400]),
        ("POST", "/mcp/..;/admin", "content-length: 0\r\n", &[400]),
        ("POST", "//mcp", "content-length: 0\r\n", &[404]),
        ("POST", "/mcp;x", "content-length: 0\r\n", &[404]),
        ("POST", "/MCP", "content-length: 0\r\n", &[404]),
        ("CONNECT", "mcp.example.com:443", "", &[400, 404, 405, 421]),
        ("TRACE", "/mcp", "", &[405]),
        ("GET", "/mcp", long.as_str(), &[431]),
    ] {
        let mut client = wire.connect().await;
        client.say(&wire.head(method, target, more)).await;
        let status = client.status().await;
        assert!(statuses.contains(&status), "{method} {target} {}: {status}", &more[..more.len().min(60)]);
    }
    // The first that gets through is the first that the upstream hears.
    let mut client = wire.ask("POST", "content-length: 2\r\n").await;
    client.say("{}").await;
    let upstream = wire.asked().await;
    assert!(upstream.heard.starts_with("POST /mcp HTTP/1.1\r\n"), "{}", upstream.heard);
}

/// RFC 9112 §6.3: with both, the length does not count; and what is left is no second request.
#[tokio::test]
async fn what_is_smuggled_behind_a_body_is_no_request_of_ours() {
    let wire = Wire::new().await;
    let mut client = wire.ask("POST", "content-length: 40\r\ntransfer-encoding: chunked\r\n").await;
    client.say("0\r\n\r\nGET /mcp/smuggled HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let Ok(mut upstream) = tokio::time::timeout(std::time::Duration::from_millis(500), wire.asked()).await
    else {
        return;
    };
    upstream.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    client.hung_up().await;
    assert!(!upstream.heard.contains("smuggled"), "{}", upstream.heard);
    assert!(client.heard.matches("HTTP/1.1 200").count() <= 1, "{}", client.heard);
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_bad_gateway_and_the_client_goes_on() {
    let wire = Wire::new().await;
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(350_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(5_000));
    let mut client = wire.connect().await;
    for answer in [
        large.as_str(),
        &many,
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nset cookie: x\r\n\r\n",
        "",
    ] {
        client.heard.clear();
        client.say(&wire.head("POST", "/mcp", "content-length: 0\r\n")).await;
        let upstream = wire.asked().await;
        // It may have hung up before the end.
        for piece in answer.as_bytes().chunks(16 * 1024) {
            if upstream.try_say(piece) == 0 {
                tokio::task::yield_now().await;
            }
            tokio::task::yield_now().await;
        }
        drop(upstream);
        assert_eq!(client.status().await, 502, "{}", &answer[..answer.len().min(60)]);
        client.until("does not answer").await;
    }
}

/// What stands behind an answer is not the next one's.
#[tokio::test]
async fn what_an_upstream_says_too_much_reaches_nobody() {
    let wire = Wire::new().await;
    for answer in [
        "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\npoison",
    ] {
        let mut client = wire.ask("POST", "content-length: 0\r\n").await;
        let mut upstream = wire.asked().await;
        upstream.say(answer).await;
        client.status().await;
        let mut next = wire.ask("POST", "content-length: 0\r\n").await;
        let mut again = wire.asked().await;
        again.say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfresh").await;
        next.until("fresh").await;
        assert!(!next.heard.contains("poison") && !client.heard.contains("poison"), "{}", client.heard);
    }
}
