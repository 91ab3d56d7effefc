//! Where a name may lead to.

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use entrada::adapters::web_documents::Network;
use entrada::adapters::web_documents::SystemNetwork;
use entrada::adapters::web_documents::WebDocuments;
use entrada::ports::documents::ClientDocuments;
use entrada::ports::documents::NotFetched;
use entrada::ports::documents::Validators;
use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use url::Url;

use super::DOCUMENT;
use super::Fetching;
use super::HOST;
use super::NOT_GLOBAL;
use super::NOW;
use super::TEXT;
use super::text;
use crate::support::clock::MovedClock;
use crate::support::web::Web;

/// The blocks that are not global: the last address before, where it is global; the first and the last address;
/// the first one after, where it is global.
const BLOCKS: &[[&str; 4]] = &[
    ["", "0.0.0.0", "0.255.255.255", "1.0.0.0"],
    ["9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"],
    ["100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"],
    ["126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"],
    ["168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"],
    ["169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"],
    ["172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"],
    ["191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"],
    ["192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"],
    ["192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0"],
    ["192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0"],
    ["192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"],
    ["192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"],
    ["192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0"],
    ["198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"],
    ["198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"],
    ["203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"],
    ["223.255.255.255", "224.0.0.0", "239.255.255.255", ""],
    ["", "240.0.0.0", "255.255.255.255", ""],
    // Everything before the addresses of hosts.
    ["", "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"],
    ["", "::1", "::1", ""],
    ["", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", ""],
    ["", "100::", "100::ffff:ffff:ffff:ffff", ""],
    ["", "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", ""],
    // Among them.
    [
        "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001::",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:200::",
    ],
    ["", "2001:1::1", "2001:1::3", ""],
    ["", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", ""],
    ["", "2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", ""],
    ["", "2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", ""],
    ["", "2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", ""],
    ["", "2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", ""],
    ["", "2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", ""],
    [
        "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db9::",
    ],
    [
        "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff",
        "2620:4f:8000::",
        "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
        "2620:4f:8001::",
    ],
    ["3ffd:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3ffe::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
    ["", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"],
    // Everything after.
    ["3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
    ["", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
    ["", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
    ["", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
    ["", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
    ["", "ff00::", "ff0e::1", ""],
];

/// IPv6 addresses that hold an IPv4 address, and whether they lead to the Internet.
const HOLDING_IPV4: &[(&str, bool)] = &[
    // IPv4-mapped.
    ("::ffff:8.8.8.8", true),
    ("::ffff:127.0.0.1", false),
    ("::ffff:169.254.169.254", false),
    ("::ffff:168.63.129.16", false),
    // IPv4-compatible and IPv4-translated.
    ("::8.8.8.8", false),
    ("::127.0.0.1", false),
    ("::ffff:0:8.8.8.8", false),
    // NAT64, and beside it.
    ("64:ff9b::8.8.8.8", true),
    ("64:ff9b::10.0.0.1", false),
    ("64:ff9b::169.254.169.254", false),
    ("64:ff9b::1:8.8.8.8", false),
    ("64:ff9b:1::8.8.8.8", false),
    // 6to4: the address follows the prefix.
    ("2002:808:808::7f00:1", true),
    ("2002:7f00:1::808:808", false),
    ("2002:a9fe:a9fe::1", false),
    ("2002:a83f:8110::1", false),
    // Teredo: the server, and the inverted client.
    ("2001:0:808:808::f7f7:f7f7", true),
    ("2001:0:a00:1::f7f7:f7f7", false),
    ("2001:0:808:808::f5ff:fffe", false),
    ("2001:0:808:808::5601:5601", false),
    // ISATAP, by either interface identifier, behind any prefix.
    ("2600::5efe:8.8.8.8", true),
    ("2600::5efe:10.0.0.1", false),
    ("2600::200:5efe:8.8.8.8", true),
    ("2600::200:5efe:192.168.0.1", false),
    ("2600:0:0:1:0:5efe:10.0.0.1", false),
    ("2002:808:808::5efe:10.0.0.1", false),
    // What only resembles it.
    ("2600::100:5efe:10.0.0.1", true),
    ("2600::1:5efe:10.0.0.1", true),
    ("2600::5eff:10.0.0.1", true),
    ("2600:0:0:5efe:a00:1::", true),
];

#[tokio::test]
async fn only_global_addresses_are_connected_to() {
    let fetching = Fetching::start().await;
    let mut expected: Vec<(&str, bool)> = HOLDING_IPV4.to_vec();
    for [before, first, last, after] in BLOCKS {
        expected.extend([(*before, true), (*first, false), (*last, false), (*after, true)]);
    }
    for (address, global) in expected.into_iter().filter(|(address, _)| !address.is_empty()) {
        fetching.web.claim(HOST, &[address]);
        let connections = fetching.web.connections().await;
        let fetched = fetching.fetch(DOCUMENT).await;
        let further = fetching.web.connections().await - connections;
        if global {
            assert_eq!(text(fetched).as_deref(), Ok(TEXT), "{address}");
            assert_eq!(fetching.web.connected_to().last(), Some(&address.parse().unwrap()));
        } else {
            assert_eq!(fetched, NOT_GLOBAL, "{address}");
            assert_eq!(further, 0, "{address} was connected to");
        }
    }
}

#[tokio::test]
async fn one_address_that_is_not_global_spoils_all() {
    let fetching = Fetching::start().await;
    for addresses in [
        ["8.8.8.8", "10.0.0.1"],
        ["10.0.0.1", "8.8.8.8"],
        ["2600::1", "127.0.0.1"],
        ["8.8.8.8", "::1"],
        ["8.8.8.8", "64:ff9b::10.0.0.1"],
    ] {
        fetching.web.claim(HOST, &addresses);
        assert_eq!(fetching.fetch(DOCUMENT).await, NOT_GLOBAL, "{addresses:?}");
    }
    assert_eq!(fetching.web.connections().await, 0);
    fetching.web.claim(HOST, &["8.8.8.8", "2600::1"]);
    assert_eq!(text(fetching.fetch(DOCUMENT).await).as_deref(), Ok(TEXT));
}

/// Rebinding: the name is judged by one answer, and would be connected to by another.
#[tokio::test]
async fn the_address_that_was_judged_is_the_one_that_is_connected_to() {
    let fetching = Fetching::start().await;
    fetching.web.claim_in_turn(HOST, &[&["8.8.8.8"], &["127.0.0.1"]]);
    assert_eq!(text(fetching.fetch(DOCUMENT).await).as_deref(), Ok(TEXT));
    assert_eq!(fetching.web.lookups(HOST), 1);
    assert_eq!(fetching.web.connected_to(), [IpAddr::from([8, 8, 8, 8])]);
    assert_eq!(fetching.web.connections().await, 1);
    // Nor does a connection remain that a later fetch could use without asking.
    assert_eq!(fetching.fetch(DOCUMENT).await, NOT_GLOBAL);
    assert_eq!(fetching.web.lookups(HOST), 2);
    assert_eq!(fetching.web.connections().await, 1);
}

#[tokio::test]
async fn each_fetch_asks_for_the_addresses_and_connects_once() {
    let fetching = Fetching::start().await;
    for count in 1..=3 {
        assert_eq!(text(fetching.fetch(DOCUMENT).await).as_deref(), Ok(TEXT));
        assert_eq!(fetching.web.lookups(HOST), count);
        assert_eq!(fetching.web.connections().await, count);
        assert_eq!(fetching.web.requests(DOCUMENT), count);
    }
}

#[tokio::test]
async fn a_url_without_a_name_or_without_https_is_not_even_looked_up() {
    let fetching = Fetching::start().await;
    let port = fetching.web.port();
    for url in [
        "http://client.example/oauth/metadata.json".to_owned(),
        format!("http://client.example:{port}/"),
        "https://8.8.8.8/".to_owned(),
        format!("https://127.0.0.1:{port}/"),
        format!("https://127.1:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://0x7f000001:{port}/"),
        format!("https://127.0.0.1.:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://[2001:4860:4860::8888]/".to_owned(),
        "https://user@client.example/oauth/metadata.json".to_owned(),
        "https://:password@client.example/oauth/metadata.json".to_owned(),
        "data:application/json,{}".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let refused = Err(NotFetched::Unusable("its address is no https URL with a host name"));
        assert_eq!(fetching.fetch(&url).await, refused, "{url}");
    }
    assert_eq!(fetching.web.connections().await, 0);
    assert_eq!(fetching.web.lookups(HOST), 0);
}

#[tokio::test]
async fn a_name_without_an_address_is_away() {
    let fetching = Fetching::start().await;
    let no_address = Err(NotFetched::Away("its name has no address"));
    fetching.web.unname(HOST);
    assert_eq!(fetching.fetch(DOCUMENT).await, no_address);
    fetching.web.claim(HOST, &[]);
    assert_eq!(fetching.fetch(DOCUMENT).await, no_address);
    assert_eq!(fetching.fetch("https://nobody.example/").await, no_address);
}

#[tokio::test]
async fn a_url_may_name_a_port() {
    let fetching = Fetching::start().await;
    let url = format!("https://client.example:{}/metadata.json", fetching.web.port());
    fetching.web.serve(&url, super::document());
    assert_eq!(text(fetching.fetch(&url).await).as_deref(), Ok(TEXT));
}

/// A web where nobody listens at some addresses.
struct WithDead {
    web: Web,
    /// Bound, so that nobody else listens there.
    bound: TcpSocket,
    dead: &'static [&'static str],
}

impl WithDead {
    fn documents(web: &Web, dead: &'static [&'static str]) -> WebDocuments {
        let bound = TcpSocket::new_v4().unwrap();
        bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let network = Arc::new(Self { web: web.clone(), bound, dead });
        WebDocuments::new(network, Some(web.ca().as_bytes()), MovedClock::at(NOW)).unwrap()
    }
}

#[async_trait]
impl Network for WithDead {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.web.addresses(host).await
    }

    fn socket(&self, address: IpAddr) -> SocketAddr {
        let dead = self.dead.iter().any(|dead| dead.parse() == Ok(address));
        if dead { self.bound.local_addr().unwrap() } else { self.web.socket(address) }
    }
}

#[tokio::test]
async fn a_host_that_nobody_listens_at_is_away_and_its_other_address_is_tried() {
    let fetching = Fetching::start().await;
    let url = Url::parse(DOCUMENT).unwrap();
    let documents = WithDead::documents(&fetching.web, &["8.8.8.8"]);
    fetching.web.claim(HOST, &["8.8.8.8"]);
    let fetched = documents.fetch(&url, &Validators::default()).await;
    assert_eq!(fetched, Err(NotFetched::Away("it cannot be connected to")));
    fetching.web.claim(HOST, &["8.8.8.8", "8.8.4.4"]);
    let fetched = documents.fetch(&url, &Validators::default()).await;
    assert_eq!(text(fetched).as_deref(), Ok(TEXT));
}

#[tokio::test]
async fn four_addresses_of_a_family_are_tried_and_no_fifth() {
    const FOUR: &[&str] = &["8.8.8.1", "8.8.8.2", "8.8.8.3", "8.8.8.4", "8.8.8.5", "8.8.8.6"];
    const SIX: &[&str] = &["2600::1", "2600::2", "2600::3", "2600::4", "2600::5", "2600::6"];
    const LAST_OF_FOUR: &[&str] = &["8.8.8.1", "8.8.8.2", "8.8.8.3", "2600::1", "2600::2", "2600::3"];
    const ALL: &[&str] =
        &["8.8.8.1", "8.8.8.2", "8.8.8.3", "8.8.8.4", "2600::1", "2600::2", "2600::3", "2600::4"];
    let fetching = Fetching::start().await;
    let url = Url::parse(DOCUMENT).unwrap();
    for claimed in [FOUR.to_vec(), SIX.to_vec(), [FOUR, SIX].concat(), [SIX, FOUR].concat()] {
        fetching.web.claim(HOST, &claimed);
        let documents = WithDead::documents(&fetching.web, LAST_OF_FOUR);
        let fetched = documents.fetch(&url, &Validators::default()).await;
        assert_eq!(text(fetched).as_deref(), Ok(TEXT), "the fourth of {claimed:?}");
        let documents = WithDead::documents(&fetching.web, ALL);
        let fetched = documents.fetch(&url, &Validators::default()).await;
        let refused = Err(NotFetched::Away("it cannot be connected to"));
        assert_eq!(fetched, refused, "the fifth of {claimed:?}");
    }
}

/// "client.example" in the network of "corp.example.com" might be "client.example.corp.example.com".
#[tokio::test]
async fn a_name_is_absolute() {
    let fetching = Fetching::start().await;
    for host in ["client.example", "localhost"] {
        let url = format!("https://{host}/metadata.json");
        fetching.web.serve(&url, super::document());
        let inside = fetching.web.network().addresses(host).await.unwrap();
        assert_eq!(inside, [IpAddr::from([10, 0, 0, 53])], "a search domain has it");
        assert_eq!(text(fetching.fetch(&url).await).as_deref(), Ok(TEXT), "{host}");
    }
}

#[tokio::test]
async fn the_network_of_this_machine_is_judged_as_well() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let documents = WebDocuments::new(Arc::new(SystemNetwork), None, MovedClock::at(NOW)).unwrap();
    let url = Url::parse(&format!("https://localhost:{}/", listener.local_addr().unwrap().port())).unwrap();
    // Not every resolver knows the absolute name; whichever does has an answer that is not global.
    let refused = documents.fetch(&url, &Validators::default()).await;
    assert!(matches!(refused, Err(NotFetched::Away(_))), "{refused:?}");
    assert!(listener.accept().now_or_never().is_none(), "it was connected to");
}

#[test]
fn on_the_network_of_this_machine_an_address_is_itself() {
    for address in ["8.8.8.8", "2600::1"].map(|address| address.parse::<IpAddr>().unwrap()) {
        assert_eq!(SystemNetwork.socket(address), SocketAddr::new(address, 0));
    }
}
