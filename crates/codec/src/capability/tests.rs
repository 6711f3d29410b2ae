//! Replies to EHLO, whole.

use super::*;
use crate::line::LineFault;
use crate::{ReplyFault, ReplyLimits, ReplyReader, ReplyStep, Timestamp};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

/// The reply, read from the wire, from a reader and kept, which must all say the same.
fn read(wire: &[u8]) -> Capabilities {
    let (reply, used) = EhloReply::parse(wire).unwrap_or_else(|error| panic!("{error}: {}", wire.escape_ascii()));
    assert_eq!(used, wire.len());
    let mut reader = ReplyReader::new(ReplyLimits::default());
    reader.next(wire);
    let view = reader.reply().expect("a whole reply");
    let other = EhloReply::from_view(&view);
    let kept = Capabilities::from_reply(&view);
    assert_eq!(facts(&reply), facts(&other));
    assert_eq!(facts(&reply), facts(&kept.as_reply()));
    assert_eq!(kept, Capabilities::from(&reply));
    kept
}

fn facts(reply: &EhloReply<'_>) -> Vec<String> {
    let known: Vec<_> = Extension::ALL.into_iter().filter(|&extension| reply.has(extension)).collect();
    let mut facts = Vec::from([
        format!("{known:?}"),
        format!("{:?} {:?} {:?}", reply.max_size(), reply.auth(), reply.limits()),
        format!("{:?} {:?} {:?}", reply.deliver_by(), reply.future_release(), reply.mt_priority()),
        format!("{:?} {:?}", reply.no_soliciting(), reply.burl()),
        format!("{:?} {:?}", reply.xclient(), reply.xforward()),
        reply.greeting().to_string(),
        reply.domain().to_string(),
    ]);
    facts.extend(reply.lines().map(ToString::to_string));
    facts.extend(reply.capabilities().map(|capability| format!("{capability:?}")));
    facts
}

#[test]
fn keywords_in_any_case_and_unknown_ones_are_read() {
    let caps = read(b"250-mx.example hello\r\n250-pipelining\r\n250-SIZE 1000\r\n250-X-NEW a  b\r\n250 8bitMIME\r\n");
    assert!(caps.has(Extension::Pipelining) && caps.has(Extension::EightBitMime));
    assert!(!caps.has(Extension::EnhancedStatusCodes));
    assert_eq!(caps.max_size(), Some(1000));
    assert_eq!((caps.greeting(), caps.domain()), ("mx.example hello", "mx.example"));
    assert_eq!(caps.lines().collect::<Vec<_>>(), ["pipelining", "SIZE 1000", "X-NEW a  b", "8bitMIME"]);
    assert_eq!(
        caps.capabilities().collect::<Vec<_>>(),
        [
            Capability::Plain(Extension::Pipelining),
            Capability::Size(Some(1000)),
            Capability::Other { keyword: "X-NEW", parameters: "a  b" },
            Capability::Plain(Extension::EightBitMime)
        ]
    );
}

#[test]
fn every_parameter_is_read() {
    let caps = read(
        b"250-mx\r\n250-SIZE 10\r\n250-AUTH PLAIN SCRAM-SHA-256\r\n250-LIMITS RCPTMAX=100 NEW=x\r\n250-DELIVERBY 240\r\n\
          250-FUTURERELEASE 86400 2027-02-28T09:30:00Z\r\n250-MT-PRIORITY MIXER\r\n250-NO-SOLICITING a.example:ADV,b.example:X\r\n\
          250-BURL imap\r\n250-XCLIENT NAME ADDR\r\n250 XFORWARD HELO\r\n",
    );
    assert_eq!(caps.max_size(), Some(10));
    assert!(caps.auth().is_some_and(|auth| auth.contains("plain") && !auth.is_old_form()));
    assert_eq!((caps.limits().rcpt_max(), caps.limits().mail_max()), (Some(100), None));
    assert_eq!(caps.deliver_by(), Some(240));
    let max_until = Timestamp::parse("2027-02-28T09:30:00Z").unwrap();
    assert_eq!(caps.future_release(), Some(FutureRelease { max_interval: 86_400, max_until }));
    assert_eq!(caps.mt_priority(), Some("MIXER"));
    assert_eq!(caps.no_soliciting(), Some(Words::commas("a.example:ADV,b.example:X")));
    assert_eq!(caps.burl(), Some(Words::spaced("imap")));
    assert_eq!(caps.xclient(), Some(Words::spaced("NAME ADDR")));
    assert_eq!(caps.xforward(), Some(Words::spaced("HELO")));
}

#[test]
fn every_extension_is_found_on_each_line_and_before_any_end() {
    for extension in Extension::ALL {
        for lines in 1..4 {
            for (i, behind) in (0..lines).flat_map(|i| ["", " ", " x y"].map(|behind| (i, behind))) {
                let list: Vec<_> = (0..lines)
                    .map(|j| if i == j { format!("{extension}{behind}") } else { "X-Y".to_string() })
                    .collect();
                let mut wire = Vec::new();
                write_ehlo_reply(&mut wire, "mx", &list).unwrap();
                let caps = read(&wire);
                let known: Vec<_> = Extension::ALL.into_iter().filter(|&e| caps.has(e)).collect();
                assert_eq!(known, [extension], "{list:?}");
            }
        }
    }
}

#[test]
fn a_size_of_zero_or_beyond_64_bits_is_no_limit() {
    for wire in [
        &b"250-x\r\n250 SIZE 0\r\n"[..],
        b"250-x\r\n250 SIZE\r\n",
        b"250-x\r\n250 SIZE 18446744073709551616\r\n",
        b"250-x\r\n250 SIZE 99999999999999999999999\r\n",
    ] {
        let caps = read(wire);
        assert!(caps.has(Extension::Size));
        assert_eq!(caps.max_size(), None);
    }
    assert_eq!(read(b"250-x\r\n250 SIZE 18446744073709551615\r\n").max_size(), Some(u64::MAX));
}

#[test]
fn a_reply_without_keywords_offers_nothing() {
    for (wire, greeting) in
        [(&b"250 mx\r\n"[..], "mx"), (b"250 \r\n", ""), (b"250\r\n", ""), (b"250-mx\r\n250\r\n", "mx")]
    {
        let caps = read(wire);
        assert_eq!(caps.greeting(), greeting);
        assert_eq!(caps.capabilities().count(), 0);
        assert!(!Extension::ALL.into_iter().any(|extension| caps.has(extension)));
    }
}

#[test]
fn the_greeting_is_no_keyword() {
    assert!(!read(b"250 SIZE 10\r\n").has(Extension::Size));
    assert!(!read(b"250-PIPELINING\r\n250 HELP\r\n").has(Extension::Pipelining));
}

#[test]
fn the_old_form_of_auth_is_told_apart() {
    let caps = read(b"250-mx\r\n250 AUTH=LOGIN PLAIN\r\n");
    assert!(!caps.has(Extension::Auth));
    assert!(caps.auth().is_some_and(|auth| auth.is_old_form() && auth.contains("LOGIN") && auth.contains("PLAIN")));
    let both = read(b"250-mx\r\n250-AUTH PLAIN\r\n250 AUTH=LOGIN\r\n");
    assert!(both.has(Extension::Auth));
    assert_eq!(both.auth(), Some(Auth::new("PLAIN")));
    assert_eq!(read(b"250-mx\r\n250 AUTHX\r\n").auth(), None);
}

#[test]
fn of_a_keyword_told_twice_the_last_counts() {
    assert_eq!(read(b"250-mx\r\n250-SIZE 10\r\n250 SIZE 20\r\n").max_size(), Some(20));
    assert_eq!(read(b"250-mx\r\n250-SIZE 10\r\n250 SIZE\r\n").max_size(), None);
}

#[test]
fn a_line_that_is_not_ascii_offers_nothing() {
    let caps = read(b"250-mx \xe9\r\n250-SIZE 10\xff\r\n250-8BITMIME\r\n250-AUTH PLAIN\xe9\r\n250 X-\xc3\xa9\r\n");
    assert_eq!((caps.greeting(), caps.max_size(), caps.auth()), ("", None, None));
    assert_eq!(caps.lines().collect::<Vec<_>>(), ["8BITMIME"]);
    assert!(!caps.has(Extension::Size));
}

#[test]
fn spaces_before_a_keyword_are_passed_over() {
    let caps = read(b"250-mx\r\n250-  SIZE \t 10 \r\n250 \tDSN\r\n");
    assert!(caps.has(Extension::Dsn));
    assert_eq!(caps.max_size(), Some(10));
}

#[test]
fn a_longer_word_is_another_keyword() {
    let caps = read(b"250-mx\r\n250-SIZEX 10\r\n250-SIZE=10\r\n250-XSIZE\r\n250-SIZ\r\n250-DSN-X\r\n250 STARTTLS1\r\n");
    assert!(!Extension::ALL.into_iter().any(|extension| caps.has(extension)));
}

#[test]
fn what_is_no_ehlo_reply_is_told_by_kind() {
    use EhloError::{Fault, Incomplete, Refused};
    use LineFault::{BareCr, BareLf, Nul, TooLong};
    let code = |code| ehlo_codes::ReplyCode::new(code).unwrap();
    let long = format!("250-mx\r\n250 {}\r\n", "x".repeat(2048 - 5));
    let unended = "2".repeat(2049);
    for (wire, error) in [
        (&b""[..], Incomplete),
        (b"2", Incomplete),
        (b"250 mx", Incomplete),
        (b"250 mx\r", Incomplete),
        (b"250-mx\r\n", Incomplete),
        (b"250-mx\r\n250 SIZE\r", Incomplete),
        (b"250-mx\r\n251", Incomplete),
        (b"500 what\r\n", Refused(code(500))),
        (b"421-bye\r\n", Refused(code(421))),
        (b"251 mx\r\n", Refused(code(251))),
        (b"250-mx\r\n251 HELP\r\n", Fault(ReplyFault::CodesDiffer)),
        (b"250-mx\r\n250-SIZE\r\n550 HELP\r\n", Fault(ReplyFault::CodesDiffer)),
        (b"\r\n", Fault(ReplyFault::Syntax)),
        (b"250x\r\n", Fault(ReplyFault::Syntax)),
        (b"250-mx\r\n250_HELP\r\n", Fault(ReplyFault::Syntax)),
        (b"250-mx\r\nHELP\r\n", Fault(ReplyFault::Syntax)),
        (b"250 mx\n", Fault(ReplyFault::Line(BareLf))),
        (b"250-mx\r\n250-HELP\n250 SIZE\r\n", Fault(ReplyFault::Line(BareLf))),
        (b"250-mx\r\n250-MT\rPRIORITY\r\n", Fault(ReplyFault::Line(BareCr))),
        (b"250 m\rx\r\n", Fault(ReplyFault::Line(BareCr))),
        (b"250 m\0x\r\n", Fault(ReplyFault::Line(Nul))),
        (b"250-mx\r\n250 SIZE\0\r\n", Fault(ReplyFault::Line(Nul))),
        (long.as_bytes(), Fault(ReplyFault::Line(TooLong))),
        (unended.as_bytes(), Fault(ReplyFault::Line(TooLong))),
        (&b"250-x\r\n".repeat(300), Fault(ReplyFault::TooLong)),
    ] {
        assert_eq!(EhloReply::parse(wire), Err(error), "{}", wire.escape_ascii());
    }
}

#[test]
fn a_reply_that_is_cut_is_incomplete_and_bytes_behind_it_are_left() {
    let wire = b"250-mx at your service\r\n250-SIZE 10\r\n250-AUTH=LOGIN\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250 HELP\r\n";
    for end in 0..wire.len() {
        assert_eq!(EhloReply::parse(&wire[..end]), Err(EhloError::Incomplete), "{end}");
    }
    let (whole, _) = EhloReply::parse(wire).unwrap();
    for behind in [&b"2"[..], b"\r\n", b"\0", b"250 OK\r\n250-and so on, beyond all windows\r\n"] {
        let more = [wire, behind].concat();
        let (reply, used) = EhloReply::parse(&more).unwrap();
        assert_eq!((facts(&reply), used), (facts(&whole), wire.len()));
    }
}

#[test]
fn limits_are_those_of_a_reply_reader() {
    let wire = b"250-mx.example\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 HELP\r\n";
    for line in 0..20 {
        for total in 0..50 {
            for lines in 0..6 {
                let limits = ReplyLimits { line, total, lines };
                let parsed = EhloReply::parse_within(wire, limits).map(|(_, used)| used);
                let mut reader = ReplyReader::new(limits);
                match reader.next(wire) {
                    (used, ReplyStep::Reply(_)) => assert_eq!(parsed, Ok(used), "{limits:?}"),
                    (_, ReplyStep::Fault(fault)) => assert_eq!(parsed, Err(EhloError::Fault(fault)), "{limits:?}"),
                    (_, ReplyStep::NeedMore) => panic!("the reply is whole"),
                }
            }
        }
    }
}

#[test]
fn a_line_with_a_control_character_offers_nothing() {
    for line in ["LIMITS RCPTMAX=5 \x1b", "AUTH PLAIN \x1b[2J", "AUTH=LOGIN\x7f", "SIZE 10\x01", "NO-SOLICITING a\x08"]
    {
        let wire = alloc::format!("250-mx.example\r\n250-{line}\r\n250 HELP\r\n");
        let (reply, _) = EhloReply::parse(wire.as_bytes()).expect("a reply");
        assert_eq!(reply.capabilities().count(), 1, "{line:?}");
        for extension in Extension::ALL {
            assert_eq!(reply.has(extension), extension == Extension::Help, "{line:?}: {extension}");
        }
        assert!(reply.auth().is_none() && reply.max_size().is_none() && reply.no_soliciting().is_none(), "{line:?}");
        assert_eq!(reply.limits(), EhloReply::from_text("mx.example").limits());
    }
}
