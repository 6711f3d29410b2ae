//! Nothing that a caller passes in can end a line or a message before its time.

mod clock;

use ehlo_client::codec::{
    BodyType, DataDecoder, DataStep, Domain, ForwardPath, LineEnding, Mailbox, Params, ReversePath, StuffError,
    Stuffed, Stuffer,
};
use ehlo_client::{BodyError, BodyWriter, Config, LineEndings, Session, StartTls, TlsInfo, Transfer};
use std::sync::Arc;

/// A message as it goes over the wire, its pieces cut at the given length.
fn wire(body: &[u8], piece: usize) -> Result<Vec<u8>, StuffError> {
    let (mut stuffer, mut wire) = (Stuffer::new(), Vec::new());
    for mut rest in body.chunks(piece) {
        loop {
            let (used, stuffed) = stuffer.next(rest)?;
            rest = &rest[used..];
            match stuffed {
                Stuffed::Bytes(bytes) => wire.extend_from_slice(bytes),
                Stuffed::Dot => wire.push(b'.'),
                Stuffed::NeedMore => break,
            }
        }
    }
    wire.extend_from_slice(stuffer.finish()?);
    Ok(wire)
}

fn ends(wire: &[u8]) -> usize {
    let at_start = usize::from(wire.starts_with(b".\r\n"));
    at_start + wire.windows(5).filter(|window| window == b"\r\n.\r\n").count()
}

// C026, C030
#[test]
fn an_address_that_could_end_its_command_is_no_address() {
    for address in [
        "<a@b>\r\nRCPT TO:<evil@x>",
        "<a\r\n@b>",
        "<a@b\r\n.c>",
        "<\"a\r\nRCPT TO:<evil@x>\"@b>",
        "<\"a\\\r\"@b>",
        "<\"a\\\n\"@b>",
        "<\"a\0\"@b>",
        "<a@[127.0.0.1\r\n]>",
        "<@x\r\n:a@b>",
        "<Postmaster\r\n>",
    ] {
        let whole = |rest: &[u8]| rest.is_empty();
        assert!(!ReversePath::parse_prefix(address.as_bytes()).is_ok_and(|(_, rest)| whole(rest)), "{address:?}");
        assert!(!ForwardPath::parse_prefix(address.as_bytes()).is_ok_and(|(_, rest)| whole(rest)), "{address:?}");
    }
    for mailbox in ["a@b>\r\nRCPT TO:<evil@x", "a@b>", "a>b@c", "a@b\n", "\"a\nb\"@c"] {
        assert!(Mailbox::parse(mailbox).is_err(), "{mailbox:?}");
    }
}

// C007, C027
#[test]
fn a_name_for_ehlo_is_a_domain_or_an_address_literal() {
    for name in
        ["", "client.example\r\nMAIL FROM:<a@b>", "a b", "a\tb", "a\n", "-a", "a..b", "a.", "[1.2.3.4", "ä.example"]
    {
        assert!(Config::new(name).is_err(), "{name:?}");
        assert!(Domain::parse(name).is_err(), "{name:?}");
    }
    for name in ["client.example", "x", "[192.0.2.1]", "[IPv6:2001:db8::1]"] {
        assert!(Config::new(name).is_ok(), "{name:?}");
    }
}

// C028
#[test]
fn a_parameter_cannot_hold_a_line_end_or_a_second_parameter_by_stealth() {
    for params in ["ENVID=a\r\nDATA", "ENVID=a\n", "ORCPT=rfc822;a\r@b", "X=\0", "X=a=b", "X\r\n=a"] {
        assert!(Params::parse(params.as_bytes()).is_err(), "{params:?}");
    }
}

// C021
#[test]
fn a_message_with_a_bare_cr_or_lf_is_refused_with_its_place() {
    for (body, kind, offset) in [
        (&b"a\nb\r\n"[..], LineEnding::BareLf, 1),
        (b"a\rb\r\n", LineEnding::BareCr, 1),
        (b"a\r\n\n", LineEnding::BareLf, 3),
        (b"a\r\r\n", LineEnding::BareCr, 1),
        (b"a\r", LineEnding::BareCr, 1),
    ] {
        for piece in 1..=body.len() {
            assert_eq!(wire(body, piece), Err(StuffError { kind, offset }), "{body:?}");
        }
    }
}

// C022
#[test]
fn a_dot_at_the_start_of_a_line_is_doubled() {
    for (body, expected) in [
        (&b".\r\n"[..], &b"..\r\n.\r\n"[..]),
        (b"..\r\n", b"...\r\n.\r\n"),
        (b".x\r\n", b"..x\r\n.\r\n"),
        (b"a\r\n.\r\n.b\r\n", b"a\r\n..\r\n..b\r\n.\r\n"),
        (b"a.\r\n", b"a.\r\n.\r\n"),
    ] {
        assert_eq!(wire(body, 100).unwrap(), expected);
    }
}

// C023
#[test]
fn a_last_line_without_crlf_gets_one_and_another_line_none() {
    assert_eq!(wire(b"a", 100).unwrap(), b"a\r\n.\r\n");
    assert_eq!(wire(b"a\r\n", 100).unwrap(), b"a\r\n.\r\n");
    assert_eq!(wire(b"", 100).unwrap(), b".\r\n");
    assert_eq!(wire(b".", 100).unwrap(), b"..\r\n.\r\n");
}

// C024
#[test]
fn a_body_in_any_pieces_is_the_same_on_the_wire_and_at_the_other_end() {
    let body = b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n...\r\nend.\r\n.\r\n";
    let whole = wire(body, body.len()).unwrap();
    for piece in 1..body.len() {
        assert_eq!(wire(body, piece).unwrap(), whole, "pieces of {piece}");
    }
    assert_eq!(ends(&whole), 1);
    let (mut decoder, mut rest, mut read) = (DataDecoder::new(), &whole[..], Vec::new());
    loop {
        let (used, step) = decoder.next(rest);
        rest = &rest[used..];
        match step {
            DataStep::Body(piece) => read.extend_from_slice(piece),
            DataStep::End => break,
            DataStep::NeedMore => panic!("the end is there"),
        }
    }
    assert_eq!((&read[..], rest), (&body[..], &b""[..]));
}

// C025
#[test]
fn no_near_miss_of_the_end_leaves_as_it_is() {
    for near in
        [&b"\n.\n"[..], b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\r\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\r\n"]
    {
        let body = [b"a", near, b"MAIL FROM:<evil@x>\r\n"].concat();
        for piece in 1..=body.len() {
            // Refused, or with no end but the one at its end.
            if let Ok(wire) = wire(&body, piece) {
                assert!(ends(&wire) == 1 && wire.ends_with(b"\r\n.\r\n"), "{}", wire.escape_ascii());
            }
        }
    }
}

#[test]
fn a_prepared_body_gets_its_dots_and_is_held_to_its_length() {
    let text = b".one\r\n..two\r\n";
    let declared = Some(text.len() as u64);
    let mut body = BodyWriter::new(Transfer::Dots, BodyType::SevenBit, declared, LineEndings::Refuse);
    body.trust();
    assert_eq!(body.put(text), Ok(text.len()));
    assert_eq!(body.wire(), b"..one\r\n...two\r\n");
    for (transfer, sent) in [(Transfer::Whole, &text[..]), (Transfer::Chunks, text)] {
        let mut body = BodyWriter::new(transfer, BodyType::SevenBit, declared, LineEndings::Refuse);
        body.trust();
        assert_eq!(body.put(sent), Ok(sent.len()));
        assert_eq!(body.end(), Ok(()));
    }
    let mut body = BodyWriter::new(Transfer::Whole, BodyType::SevenBit, declared, LineEndings::Refuse);
    body.trust();
    assert_eq!(body.put(&text[1..]), Ok(text.len() - 1));
    assert_eq!(body.end(), Err(BodyError::Length { declared: text.len() as u64 }));
}

// C066
#[test]
fn mechanisms_are_those_that_are_offered_inside_tls() {
    let now = clock::epoch();
    let config = Config::new("client.example").expect("a domain").starttls(StartTls::Required);
    let mut session = Session::new(now, Arc::new(config));
    let mechanisms = |session: &Session| session.capabilities().auth().map(|auth| auth.to_string()).unwrap_or_default();
    let hear = |session: &mut Session, bytes: &[u8]| {
        let n = session.output().len();
        session.output_sent(now, n);
        session.handle_input(now, bytes);
        while session.poll_event().is_some() {}
    };
    hear(&mut session, b"220 mx\r\n");
    hear(&mut session, b"250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n");
    assert_eq!(mechanisms(&session), "AUTH PLAIN LOGIN");
    hear(&mut session, b"220 go\r\n");
    session.handle_tls(now, TlsInfo::new("TLSv1.3", "TLS_AES_128_GCM_SHA256", true)).expect("it is wanted");
    assert!(mechanisms(&session).is_empty(), "a list that came in clear is kept");
    hear(&mut session, b"250-mx\r\n250 AUTH SCRAM-SHA-256\r\n");
    assert_eq!(mechanisms(&session), "AUTH SCRAM-SHA-256");
    assert!(session.is_ready());
}
