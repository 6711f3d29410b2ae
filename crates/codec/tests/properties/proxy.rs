//! What a proxy writes by the specification is read back, however it arrives.

use crate::strategies;

use ehlo_codec::{ProxyHeader, ProxyReader, ProxyStep};
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};

/// Source and destination of one family.
fn addresses() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    let four = any::<([u8; 4], u16, [u8; 4], u16)>()
        .prop_map(|(a, p, b, q)| (SocketAddr::new(a.into(), p), SocketAddr::new(b.into(), q)));
    let six = any::<([u8; 16], u16, [u8; 16], u16)>()
        .prop_map(|(a, p, b, q)| (SocketAddr::new(a.into(), p), SocketAddr::new(b.into(), q)));
    prop_oneof![four, six]
}

fn v1(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let [from, to] = [source, destination].map(|address| address.ip().to_string());
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

fn v2(source: SocketAddr, destination: SocketAddr, tlvs: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for address in [source, destination] {
        match address.ip() {
            IpAddr::V4(ip) => payload.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => payload.extend_from_slice(&ip.octets()),
        }
    }
    payload.extend_from_slice(&source.port().to_be_bytes());
    payload.extend_from_slice(&destination.port().to_be_bytes());
    for (kind, value) in tlvs {
        payload.push(*kind);
        payload.extend_from_slice(&(value.len() as u16).to_be_bytes());
        payload.extend_from_slice(value);
    }
    let family = if source.is_ipv4() { 0x11 } else { 0x21 };
    let length = (payload.len() as u16).to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n\x21", &[family][..], &length, &payload].concat()
}

/// The header, and how many octets it has.
fn read(pieces: &[&[u8]]) -> (usize, ProxyHeader) {
    let (mut reader, mut total) = (ProxyReader::new(), 0);
    for piece in pieces {
        let (used, step) = reader.next(piece).expect("it is valid so far");
        total += used;
        if let ProxyStep::Header(header) = step {
            return (total, header);
        }
        assert_eq!(used, piece.len(), "all was used");
    }
    panic!("the header has no end");
}

proptest! {
    #[test]
    fn headers_come_back_in_any_pieces(
        (source, destination) in addresses(),
        tlvs in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..8),
        behind in strategies::stream(),
        cuts in strategies::cuts(),
    ) {
        for header in [v1(source, destination), v2(source, destination, &tlvs)] {
            let stream = [&header[..], &behind].concat();
            let expected = (header.len(), ProxyHeader::Proxied { source, destination });
            prop_assert_eq!(read(&strategies::cut(&stream, &cuts)), expected);
            prop_assert_eq!(read(&[&stream]), expected);
        }
    }
}
