use super::*;
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

type Outcome = Result<(usize, ProxyHeader), ProxyError>;

/// Reads pieces; gives how many octets the header has. `None` if there is more to come.
fn read(pieces: &[&[u8]]) -> Option<Outcome> {
    let (mut reader, mut total) = (ProxyReader::new(), 0);
    for piece in pieces {
        match reader.next(piece) {
            Ok((used, ProxyStep::NeedMore)) => {
                assert_eq!(used, piece.len(), "more is wanted, and there is more");
                total += used;
            }
            Ok((used, ProxyStep::Header(header))) => {
                assert_eq!(reader.next(b"PROXY "), Ok((0, ProxyStep::Header(header))), "it stays what it is");
                return Some(Ok((total + used, header)));
            }
            Err(error) => {
                assert_eq!(reader.next(b"x"), Err(error), "it stays what it is");
                return Some(Err(error));
            }
        }
    }
    None
}

/// Reads a stream whole, octet by octet, and cut in two and three at all places.
fn read_in_all_ways(stream: &[u8]) -> Option<Outcome> {
    let whole = read(&[stream]);
    let octets: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(read(&octets), whole, "{}", stream.escape_ascii());
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(read(&[head, tail]), whole, "{} | {}", head.escape_ascii(), tail.escape_ascii());
        // A long stream of one kind of octet has nothing to tell in three pieces that it has not in two.
        for second in (cut..=stream.len()).take(if stream.len() > 200 { 3 } else { usize::MAX }) {
            let (middle, tail) = (&stream[cut..second], &stream[second..]);
            assert_eq!(read(&[head, middle, tail]), whole);
        }
    }
    whole
}

fn proxied(source: &str, destination: &str) -> ProxyHeader {
    ProxyHeader::Proxied { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

/// A header of version 2.
fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [V2, &[command, family], &length, payload].concat()
}

const INET: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 7, 0x9c, 0x41, 0, 25];

fn inet6() -> Vec<u8> {
    let ip = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    [&ip("2001:db8::1")[..], &ip("2001:db8::2"), &[0xff, 0xff, 0, 25]].concat()
}

#[test]
fn headers_of_both_versions_are_read_in_any_pieces_and_nothing_behind_them_is_used() {
    let inet = proxied("192.0.2.1:40001", "198.51.100.7:25");
    let inet6_header = proxied("[2001:db8::1]:65535", "[2001:db8::2]:25");
    let with_tlvs = [INET, b"\x03\0\x04abcd", b"\x04\0\0", b"\x20\0\x02\r\n"].concat();
    let unix = [&[b'/'; 216][..], b"\x04\0\x01x"].concat();
    for (header, expected) in [
        (b"PROXY TCP4 192.0.2.1 198.51.100.7 40001 25\r\n".to_vec(), inet),
        (b"PROXY TCP6 2001:db8::1 2001:DB8::2 65535 25\r\n".to_vec(), inet6_header),
        (b"PROXY TCP6 ::ffff:192.0.2.1 :: 1 0\r\n".to_vec(), proxied("[::ffff:192.0.2.1]:1", "[::]:0")),
        (b"PROXY UNKNOWN\r\n".to_vec(), ProxyHeader::Unknown),
        (b"PROXY UNKNOWN \xff TCP4 whatever stands\0here\r\n".to_vec(), ProxyHeader::Unknown),
        (v2(0x21, 0x11, INET), inet),
        (v2(0x21, 0x11, &with_tlvs), inet),
        (v2(0x21, 0x21, &inet6()), inet6_header),
        (v2(0x21, 0x31, &unix), ProxyHeader::Unknown),
        (v2(0x21, 0x00, b""), ProxyHeader::Unknown),
        (v2(0x21, 0x00, b"no\xff TLV"), ProxyHeader::Unknown),
        (v2(0x20, 0x00, b""), ProxyHeader::Local),
        (v2(0x20, 0x11, INET), ProxyHeader::Local),
        (v2(0x20, 0xff, b"anything"), ProxyHeader::Local),
    ] {
        for behind in [&b""[..], b"E", b"EHLO x\r\n", b"PROXY UNKNOWN\r\n"] {
            let stream = [&header[..], behind].concat();
            assert_eq!(read_in_all_ways(&stream), Some(Ok((header.len(), expected))), "{}", stream.escape_ascii());
        }
        for length in 0..header.len() {
            assert_eq!(read(&[&header[..length]]), None, "{}", header[..length].escape_ascii());
        }
    }
}

#[test]
fn what_is_no_header_is_refused_at_the_octet_that_shows_it() {
    // Each with the number of octets that have to come.
    for (stream, at, error) in [
        (&b"EHLO client.example\r\n"[..], 1, ProxyError::Signature),
        (b"proxy TCP4 192.0.2.1 198.51.100.7 40001 25\r\n", 1, ProxyError::Signature),
        (b"PROXY\r\n", 6, ProxyError::Signature),
        (b" PROXY UNKNOWN\r\n", 1, ProxyError::Signature),
        (b"\r\nPROXY UNKNOWN\r\n", 3, ProxyError::Signature),
        (b"\x16\x03\x01\x02\0", 1, ProxyError::Signature),
        (b"\r\n\r\n\0\r\nQUIT\r\n", 12, ProxyError::Signature),
        (b"PROXY UNKNOWN\n", 14, ProxyError::Line),
        (b"PROXY UNKNOWN\rx\n", 15, ProxyError::Line),
        (b"PROXY UNKNOWN\r\r\n", 15, ProxyError::Line),
        (b"PROXY \n", 7, ProxyError::Line),
        (b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c", 13, ProxyError::Version),
        (b"\r\n\r\n\0\r\nQUIT\n\x22\x11\0\x0c", 13, ProxyError::Version),
        (b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c", 13, ProxyError::Version),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c", 14, ProxyError::Family),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x01\0\x0c", 14, ProxyError::Family),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x41\0\x0c", 14, ProxyError::Family),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0b", 16, ProxyError::Length),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x23", 16, ProxyError::Length),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd7", 16, ProxyError::Length),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x00\x10\x01", 16, ProxyError::Length),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\xff\xff", 16, ProxyError::Length),
    ] {
        let stream = [stream, b"more\r\n"].concat();
        assert_eq!(read_in_all_ways(&stream), Some(Err(error)), "{}", stream.escape_ascii());
        assert_eq!(read(&[&stream[..at]]), Some(Err(error)), "{} at {at}", stream.escape_ascii());
        assert_eq!(read(&[&stream[..at - 1]]), None, "{} before {at}", stream.escape_ascii());
    }
}

#[test]
fn a_line_has_the_words_of_the_grammar_and_no_others() {
    for wrong in [
        "",
        "TCP4",
        "UNKNOWNx",
        "unknown",
        "TCP4 192.0.2.1 198.51.100.7 40001",
        "TCP4 192.0.2.1 198.51.100.7 40001 25 ",
        "TCP4 192.0.2.1 198.51.100.7 40001 25 26",
        "TCP4  192.0.2.1 198.51.100.7 40001 25",
        "TCP4\t192.0.2.1 198.51.100.7 40001 25",
        "tcp4 192.0.2.1 198.51.100.7 40001 25",
        "TCP5 192.0.2.1 198.51.100.7 40001 25",
        "TCP4 192.0.2.01 198.51.100.7 40001 25",
        "TCP4 192.0.2 198.51.100.7 40001 25",
        "TCP4 192.0.2.256 198.51.100.7 40001 25",
        "TCP4 192.0.2.1 198.51.100.7 65536 25",
        "TCP4 192.0.2.1 198.51.100.7 025 25",
        "TCP4 192.0.2.1 198.51.100.7 +25 25",
        "TCP4 192.0.2.1 198.51.100.7 -1 25",
        "TCP4 192.0.2.1 198.51.100.7  25",
        "TCP4 2001:db8::1 2001:db8::2 1 25",
        "TCP6 192.0.2.1 198.51.100.7 40001 25",
        "TCP6 2001:db8::1%eth0 2001:db8::2 1 25",
        "TCP6 2001:db8:::1 2001:db8::2 1 25",
        "TCP6 [2001:db8::1] 2001:db8::2 1 25",
        "TCP4 192.0.2.\u{661} 198.51.100.7 40001 25",
        "TCP4 192.0.2.1\0 198.51.100.7 40001 25",
    ] {
        let stream = format!("PROXY {wrong}\r\n");
        assert_eq!(read_in_all_ways(stream.as_bytes()), Some(Err(ProxyError::Syntax)), "{stream}");
    }
}

#[test]
fn a_line_has_107_octets_at_the_most() {
    let line = |length: usize| {
        let mut line = b"PROXY UNKNOWN ".to_vec();
        line.resize(length - 2, b'x');
        line.extend_from_slice(b"\r\n");
        line
    };
    assert_eq!(read_in_all_ways(&line(MAX_PROXY_V1)), Some(Ok((107, ProxyHeader::Unknown))));
    assert_eq!(read_in_all_ways(&line(MAX_PROXY_V1 + 1)), Some(Err(ProxyError::Line)));
    assert_eq!(read(&[&line(1000)[..106]]), None);
    assert_eq!(read(&[&line(1000)[..107]]), Some(Err(ProxyError::Line)));
    // The longest that has a meaning.
    let long = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let stream = format!("PROXY TCP6 {long} {long} 65535 65535\r\n");
    assert_eq!(stream.len(), 104);
    assert_eq!(
        read(&[stream.as_bytes()]),
        Some(Ok((104, proxied(&format!("[{long}]:65535"), &format!("[{long}]:65535")))))
    );
}

#[test]
fn the_second_version_has_a_bounded_length_and_fields_within_it() {
    for length in [INET.len(), INET.len() + 3, MAX_PROXY_V2] {
        let mut payload = INET.to_vec();
        if let Some(value) = length.checked_sub(INET.len() + 3) {
            payload.push(4);
            payload.extend_from_slice(&u16::try_from(value).unwrap().to_be_bytes());
            payload.resize(length, b'x');
        }
        let header = v2(0x21, 0x11, &payload);
        assert_eq!(read(&[&header]).unwrap().unwrap().0, 16 + length);
        assert_eq!(read(&header.chunks(1).collect::<Vec<_>>()), read(&[&header]));
    }
    for tlvs in [&b"\x04"[..], b"\x04\0", b"\x04\0\x01", b"\x04\0\x03xx", b"\x04\0\0\x04\xff\xffxx", b"\x04\0\0\x04\0"]
    {
        let header = v2(0x21, 0x11, &[INET, tlvs].concat());
        assert_eq!(read_in_all_ways(&header), Some(Err(ProxyError::Tlv)), "{}", header.escape_ascii());
    }
}

#[test]
fn a_second_header_is_seen() {
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), v2(0x20, 0, b"")] {
        assert!(begins_proxy_header(&header));
    }
    assert!(!begins_proxy_header(b"PROXY") && !begins_proxy_header(b"EHLO x\r\n") && !begins_proxy_header(b"\r\n"));
}

#[test]
fn little_is_kept_and_debug_output_shows_none_of_it() {
    assert!(size_of::<ProxyReader>() <= 256, "{}", size_of::<ProxyReader>());
    let mut reader = ProxyReader::new();
    reader.next(b"PROXY UNKNOWN secret").unwrap();
    assert!(!format!("{reader:?}").contains("secret"));
    let errors = [ProxyError::Signature, ProxyError::Line, ProxyError::Syntax, ProxyError::Tlv];
    assert!(errors.iter().all(|error| !error.to_string().is_empty()));
}
