//! The limit for an address, through real connections.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::program::Site;

/// The status of an answer on a connection of its own.
async fn ask(program: SocketAddr, path: &str, header: &str) -> String {
    let mut stream = TcpStream::connect(program).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

const METADATA: &str = "/.well-known/oauth-authorization-server";

#[tokio::test]
async fn the_address_is_that_of_the_connection() {
    let site = Site::new().await;
    let settings = format!("{}\n[limits]\nper_address = \"2/h\"\n", site.settings());
    let program = site.start_with(&settings).await;
    for (header, expected) in [
        ("", "200"),
        ("X-Forwarded-For: 198.51.100.1\r\n", "200"),
        ("X-Forwarded-For: 198.51.100.2\r\n", "429"),
    ] {
        assert_eq!(ask(program.address, METADATA, header).await, expected);
    }
    assert_eq!(ask(program.address, "/healthz/live", "").await, "200");
    program.logged("reason", "address_limited").await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let metrics = http.get(program.metrics_url().await).send().await.unwrap().text().await.unwrap();
    for line in [
        format!("entrada_refusals_total{{route=\"{METADATA}\",reason=\"address_limited\"}} 1"),
        format!("entrada_requests_total{{route=\"{METADATA}\",method=\"GET\",status=\"429\"}} 1"),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}:\n{metrics}");
    }
}

#[tokio::test]
async fn behind_a_proxy_it_is_the_one_that_the_proxy_saw() {
    let site = Site::new().await;
    let settings = format!("{}\n[limits]\nper_address = \"1/h\"\nproxies = 1\n", site.settings());
    let program = site.start_with(&settings).await;
    for (header, expected) in [
        ("X-Forwarded-For: 198.51.100.1\r\n", "200"),
        ("X-Forwarded-For: 198.51.100.2\r\n", "200"),
        ("X-Forwarded-For: 9.9.9.9, 198.51.100.1\r\n", "429"),
        // The proxy itself, as it would write it and as the connection tells.
        ("X-Forwarded-For: 127.0.0.1\r\n", "200"),
        ("", "429"),
    ] {
        assert_eq!(ask(program.address, METADATA, header).await, expected, "{header}");
    }
}

#[tokio::test]
async fn whoever_forgets_the_proxy_that_terminates_tls_is_told() {
    let site = Site::new().await;
    let behind_tls = site.settings().replace(&site.public_url, "https://mcp.example.com");
    for (limits, warned) in [("", 1), ("[limits]\nproxies = 1", 0), ("[limits]\nper_address = \"off\"", 0)] {
        let program = site.start_with(&format!("{behind_tls}\n{limits}\n")).await;
        program.logged("message", "listening").await;
        let log = program.log();
        let about = |line: &&serde_json::Value| {
            line["message"].as_str().is_some_and(|message| message.starts_with("limits.proxies = 0"))
        };
        assert_eq!(log.iter().filter(about).count(), warned, "{limits}");
        program.stop().await;
    }
}
