//! `X-Forwarded-For`, as far as it can be believed.

use std::net::IpAddr;
use std::net::SocketAddr;

/// The address that the first of `proxies` saw. Each appends to the header: ours wrote the last so many, and what stands
/// before is anybody's word. `None` where the header does not tell.
pub fn seen_by_the_first<'a>(
    lines: impl DoubleEndedIterator<Item = &'a [u8]>,
    proxies: usize,
) -> Option<IpAddr> {
    let mut from_the_right = lines.rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    let text = str::from_utf8(from_the_right.nth(proxies.checked_sub(1)?)?).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    // Some proxies write the port too.
    bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}
