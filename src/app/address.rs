//! Whose request it is, as far as an address tells.

use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::Extensions;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;

use crate::protocol::forwarded::seen_by_the_first;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that asks, through so many proxies: what the first of them saw, or the peer of the connection
/// where there is none or the header does not tell, which is the second value. Requests without a connection have
/// one address together.
pub fn asking(headers: &HeaderMap, extensions: &Extensions, proxies: usize) -> (IpAddr, bool) {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let lines = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
    let seen = seen_by_the_first(lines, proxies);
    let told = proxies == 0 || seen.is_some();
    (counted(seen.or(peer).unwrap_or(Ipv6Addr::UNSPECIFIED.into())), told)
}

/// What a limit is for. An IPv6 network gives each of its hosts as many addresses as it likes: the last 64
/// bits tell nobody apart.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(lines: &[&[u8]], proxies: usize) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.to_vec().try_into().unwrap());
        }
        let mut extensions = Extensions::new();
        let peer: SocketAddr = "203.0.113.9:4711".parse().unwrap();
        extensions.insert(ConnectInfo(peer));
        asking(&headers, &extensions, proxies).0.to_string()
    }

    #[test]
    fn it_is_the_one_that_the_first_of_our_proxies_saw() {
        for (lines, proxies, expected) in [
            (&[&b"198.51.100.1, 198.51.100.2"[..]][..], 0, "203.0.113.9"),
            (&[b"198.51.100.1, 198.51.100.2"], 1, "198.51.100.2"),
            (&[b"198.51.100.1,198.51.100.2"], 2, "198.51.100.1"),
            (&[b"198.51.100.1", b"198.51.100.2, 198.51.100.3"], 1, "198.51.100.3"),
            (&[b"198.51.100.1", b"198.51.100.2, 198.51.100.3"], 3, "198.51.100.1"),
            (&[b"198.51.100.1:50123"], 1, "198.51.100.1"),
            (&[b"[2001:db8:1:2:3:4:5:6]:50123"], 1, "2001:db8:1:2::"),
            (&[b"[2001:db8:1:2:3:4:5:6]"], 1, "2001:db8:1:2::"),
            (&[b"\xff\xfe, 198.51.100.2"], 1, "198.51.100.2"),
            // Too short, or no address: whoever asked the last proxy.
            (&[], 1, "203.0.113.9"),
            (&[b"198.51.100.2"], 2, "203.0.113.9"),
            (&[b"198.51.100.1, unknown"], 1, "203.0.113.9"),
            (&[b"198.51.100.1,"], 1, "203.0.113.9"),
            (&[b"198.51.100.1, \xff\xfe"], 1, "203.0.113.9"),
        ] {
            assert_eq!(address(lines, proxies), expected, "{lines:?} {proxies}");
        }
    }

    #[test]
    fn ipv4_is_itself_however_written_and_ipv6_is_its_network() {
        for (written, expected) in [
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
            ("2001:db8:1:3:3:4:5:6", "2001:db8:1:3::"),
        ] {
            assert_eq!(address(&[written.as_bytes()], 1), expected, "{written}");
        }
    }
}
