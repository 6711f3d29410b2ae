//! Target of `ehlo-codec`: the header that a proxy puts in front of a connection.

use super::bytes::{Bytes, pieces};
use ehlo_codec::{MAX_PROXY_V1, MAX_PROXY_V2, ProxyError, ProxyHeader, ProxyReader, ProxyStep};

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// How a stream may begin, so that more than the first octet is tried.
const STARTS: &[&[u8]] = &[
    b"",
    b"PROXY ",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 ",
    b"PROXY TCP6 2001:db8::1 ",
    b"PROXY UNKNOWN",
    V2,
    b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x00\0",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x30",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xe0",
];

/// `None` if there is more to come.
fn read(pieces: &[&[u8]]) -> Option<Result<(usize, ProxyHeader), ProxyError>> {
    let (mut reader, mut total) = (ProxyReader::new(), 0);
    for piece in pieces {
        match reader.next(piece) {
            Ok((used, ProxyStep::NeedMore)) => {
                assert_eq!(used, piece.len(), "more is wanted, and there is more");
                total += used;
            }
            Ok((used, ProxyStep::Header(header))) => return Some(Ok((total + used, header))),
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

/// How many octets the header has that a stream begins with, and whether it tells addresses; found on the whole stream at once.
fn slow_header(stream: &[u8]) -> Option<(usize, bool)> {
    if let Some(rest) = stream.strip_prefix(V2) {
        let &[command, family, high, low, ref rest @ ..] = rest else { return None };
        let length = usize::from(high) << 8 | usize::from(low);
        let payload = rest.get(..length).filter(|payload| payload.len() <= MAX_PROXY_V2)?;
        let addresses = match (command, family) {
            (0x20, _) | (0x21, 0) => return Some((16 + length, false)),
            (0x21, 0x11) => 12,
            (0x21, 0x21) => 36,
            (0x21, 0x31) => 216,
            _ => return None,
        };
        let mut tlvs = payload.get(addresses..)?;
        while let [_, high, low, rest @ ..] = tlvs {
            tlvs = rest.get(usize::from(*high) << 8 | usize::from(*low)..)?;
        }
        return tlvs.is_empty().then_some((16 + length, family != 0x31));
    }
    let end = stream.iter().take(MAX_PROXY_V1).position(|&b| matches!(b, b'\r' | b'\n'))?;
    if stream[end..].get(..2)? != b"\r\n" || end + 2 > MAX_PROXY_V1 {
        return None;
    }
    let words: Vec<&[u8]> = stream[..end].split(|&b| b == b' ').collect();
    match words[..] {
        [b"PROXY", b"UNKNOWN", ..] => Some((end + 2, false)),
        [b"PROXY", family @ (b"TCP4" | b"TCP6"), source, destination, from, to] => {
            let address = |word: &[u8]| {
                let ip: std::net::IpAddr = std::str::from_utf8(word).ok()?.parse().ok()?;
                (ip.is_ipv4() == (family == b"TCP4")).then_some(ip)
            };
            let port = |word: &[u8]| {
                let number: u16 = std::str::from_utf8(word).ok()?.parse().ok()?;
                (number.to_string().as_bytes() == word).then_some(number)
            };
            let _ = (address(source)?, address(destination)?, port(from)?, port(to)?);
            Some((end + 2, true))
        }
        _ => None,
    }
}

/// A stream begins with the same header in any pieces, with one exactly where a slow reader finds one, and what is less than a header
/// is waited with.
pub fn proxy_header(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (start, seed) = (bytes.pick(STARTS), bytes.byte());
    let stream = [start, bytes.rest()].concat();
    let whole = read(&[&stream]);
    assert_eq!(read(&pieces(&stream, seed)), whole);
    assert_eq!(read(&pieces(&stream, 0)), whole);
    let found = match whole {
        Some(Ok((length, header))) => Some((length, matches!(header, ProxyHeader::Proxied { .. }))),
        _ => None,
    };
    assert_eq!(found, slow_header(&stream), "{}", stream.escape_ascii());
    if let Some((length, _)) = found {
        assert!((0..length).all(|end| read(&[&stream[..end]]).is_none()));
    }
}
