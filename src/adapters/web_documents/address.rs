//! Which addresses are global: the Internet, and nothing behind its edge.
//!
//! A network that translates IPv6 to IPv4 with a prefix of its own (RFC 6052 §3.1) is not recognised: nobody
//! outside it knows the prefix. Its gateway has to refuse private IPv4 addresses itself.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use ipnet::Ipv4Net;
use ipnet::Ipv6Net;

/// The IANA IPv4 Special-Purpose Address Registry, and what it leaves out. It calls the blocks of anycast
/// services globally reachable; they are here because no such service publishes documents.
const NOT_GLOBAL_V4: &[Ipv4Net] = &[
    v4([0, 0, 0, 0], 8),     // RFC 791, RFC 1122: this network; Linux takes 0.0.0.0 for itself
    v4([10, 0, 0, 0], 8),    // RFC 1918: private
    v4([100, 64, 0, 0], 10), // RFC 6598: behind a carrier's NAT
    v4([127, 0, 0, 0], 8),   // RFC 1122: loopback
    v4([168, 63, 129, 16], 32), // no RFC: Azure's platform, as every machine there sees it
    v4([169, 254, 0, 0], 16), // RFC 3927: link-local, where clouds serve their metadata
    v4([172, 16, 0, 0], 12), // RFC 1918: private
    v4([192, 0, 0, 0], 24),  // RFC 6890: protocol assignments
    v4([192, 0, 2, 0], 24),  // RFC 5737: documentation
    v4([192, 31, 196, 0], 24), // RFC 7535: AS112
    v4([192, 52, 193, 0], 24), // RFC 7450: AMT
    v4([192, 88, 99, 0], 24), // RFC 7526: relays of 6to4, withdrawn; RFC 6751: 6a44
    v4([192, 168, 0, 0], 16), // RFC 1918: private
    v4([192, 175, 48, 0], 24), // RFC 7534: AS112
    v4([198, 18, 0, 0], 15), // RFC 2544: benchmarks
    v4([198, 51, 100, 0], 24), // RFC 5737: documentation
    v4([203, 0, 113, 0], 24), // RFC 5737: documentation
    v4([224, 0, 0, 0], 4),   // RFC 5771: multicast
    v4([240, 0, 0, 0], 4),   // RFC 1112: reserved; RFC 919: broadcast, its last address
];

/// All that IANA assigns to hosts (RFC 4291 §2.4). It leaves out `::`, `::1` and IPv4-compatible addresses
/// (RFC 4291), IPv4-translated ones (RFC 2765), `64:ff9b:1::/48` (RFC 8215: local NAT64), `100::/64` (RFC 6666:
/// discard), `100:0:0:1::/64` (RFC 9780: dummy), `5f00::/16` (RFC 9602: SRv6), `fc00::/7` (RFC 4193: unique
/// local), `fe80::/10` (RFC 4291: link-local), `fec0::/10` (RFC 3879: site-local) and `ff00::/8` (RFC 4291:
/// multicast).
const UNICAST: Ipv6Net = v6([0x2000, 0, 0], 3);

/// The IANA IPv6 Special-Purpose Address Registry, as far as it lies within [`UNICAST`].
const NOT_GLOBAL_V6: &[Ipv6Net] = &[
    v6([0x2001, 0, 0], 23),         // RFC 2928: protocol assignments, of every kind
    v6([0x2001, 0xdb8, 0], 32),     // RFC 3849: documentation
    v6([0x2620, 0x4f, 0x8000], 48), // RFC 7534: AS112
    v6([0x3ffe, 0, 0], 16),         // RFC 3701: the 6bone, given back
    v6([0x3fff, 0, 0], 20),         // RFC 9637: documentation
];

const IPV4_MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96); // RFC 4291
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0], 96); // RFC 6052
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0], 16); // RFC 3056
const TEREDO: Ipv6Net = v6([0x2001, 0, 0], 32); // RFC 4380

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6([a, b, c]: [u16; 3], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

/// Whether an address leads to the Internet, and to no network that only this machine can reach.
pub(super) fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    !NOT_GLOBAL_V4.iter().any(|block| block.contains(&address))
}

/// An address that a packet is carried on from to IPv4 is judged by where it comes out.
fn is_global_v6(address: Ipv6Addr) -> bool {
    let octets = address.octets();
    let ipv4_at = |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
    let last = ipv4_at(12);
    if IPV4_MAPPED.contains(&address) || NAT64.contains(&address) {
        return is_global_v4(last);
    }
    if TEREDO.contains(&address) {
        // The server, and the client, whose bits are inverted.
        return is_global_v4(ipv4_at(4)) && is_global_v4(Ipv4Addr::from_bits(!last.to_bits()));
    }
    if SIX_TO_FOUR.contains(&address) && !is_global_v4(ipv4_at(2)) {
        return false;
    }
    // RFC 5214 §6.1: an interface identifier of ISATAP, which may follow any prefix.
    if matches!(octets[8..12], [0 | 2, 0, 0x5e, 0xfe]) && !is_global_v4(last) {
        return false;
    }
    UNICAST.contains(&address) && !NOT_GLOBAL_V6.iter().any(|block| block.contains(&address))
}
