//! What a host gets to see.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Command;

use super::DOCUMENT;
use super::Fetching;
use super::TEXT;
use super::document;
use super::text;

#[tokio::test]
async fn a_request_says_what_it_asks_for_and_nothing_of_the_user() {
    let fetching = Fetching::start().await;
    let page = document().header("set-cookie", "a=b; Path=/").header("etag", "\"a\"");
    for _ in 0..2 {
        assert_eq!(text(fetching.answered(page.clone()).await).as_deref(), Ok(TEXT));
    }
    // The second request carries no more than the first: nothing is remembered of it.
    for seen in fetching.web.seen(DOCUMENT) {
        assert_eq!(seen.method, "GET");
        let mut headers: Vec<_> =
            seen.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        headers.sort_unstable();
        let user_agent = concat!("entrada/", env!("CARGO_PKG_VERSION"));
        let expected =
            [("accept", "application/json"), ("host", "client.example"), ("user-agent", user_agent)];
        assert_eq!(headers, expected);
    }
    assert_eq!(fetching.web.requests(DOCUMENT), 2);
}

#[tokio::test]
async fn the_query_travels_and_the_fragment_does_not() {
    let fetching = Fetching::start().await;
    let url = "https://client.example/metadata?version=2";
    fetching.web.serve(url, document());
    assert_eq!(text(fetching.fetch(&format!("{url}#top")).await).as_deref(), Ok(TEXT));
    assert_eq!(fetching.web.requests(url), 1);
}

/// The variables have to be there when a program starts: here, this one, for one other test.
#[test]
fn no_variable_names_a_proxy() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let (_, module) = module_path!().split_once("::").unwrap();
    let test = format!("{module}::a_request_says_what_it_asks_for_and_nothing_of_the_user");
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, &address);
    }
    for name in ["NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    let output = command.args(["--exact", &test]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    proxy.set_nonblocking(true).unwrap();
    assert_eq!(proxy.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "the proxy was connected to");
}
