//! Traps that codecs of SMTP have fallen into, one test each, named after the trap.

use ehlo_codec::{
    Capabilities, Capability, Command, DataDecoder, DataStep, Domain, EhloReply, ForwardPath, Framed, LineFault,
    LineFramer, MailParam, MailParams, MailParamsBuf, ParamFault, PathFault, ReplyFault, ReplyLimits, ReplyReader,
    ReplyStep, Stuffer, SyntaxError, Text, write_ehlo_reply,
};

/// The body in `wire`, and how much of it the body and its end took. `None`: the end was not there.
fn body(wire: &[u8]) -> (Vec<u8>, Option<usize>) {
    let (mut decoder, mut out) = (DataDecoder::new(), Vec::new());
    let (used, ended) = decoder.decode_into(wire, &mut out);
    (out, ended.then_some(used))
}

/// The same, and it must be the same in two pieces, wherever the cut is.
fn body_in_any_pieces(wire: &[u8]) -> (Vec<u8>, Option<usize>) {
    let whole = body(wire);
    for cut in 0..=wire.len() {
        let (mut decoder, mut out) = (DataDecoder::new(), Vec::new());
        let (first, ended) = decoder.decode_into(&wire[..cut], &mut out);
        let (used, ended) = if ended {
            (first, true)
        } else {
            let (second, ended) = decoder.decode_into(&wire[cut..], &mut out);
            (cut + second, ended)
        };
        assert_eq!((out, ended.then_some(used)), whole, "cut at {cut}");
    }
    whole
}

fn stuffed(message: &[u8]) -> Vec<u8> {
    let (mut stuffer, mut wire) = (Stuffer::new(), Vec::new());
    stuffer.stuff_into(message, &mut wire).expect("its lines end in CRLF");
    wire.extend_from_slice(stuffer.finish().expect("its last line, too"));
    wire
}

fn reply(wire: &[u8]) -> Result<(u16, Vec<String>), ReplyFault> {
    let mut reader = ReplyReader::new(ReplyLimits::default());
    match reader.next(wire).1 {
        ReplyStep::Reply(code) => {
            let view = reader.reply().expect("it is complete");
            Ok((code.get(), view.lines().map(|line| String::from_utf8_lossy(line).into_owned()).collect()))
        }
        ReplyStep::Fault(fault) => Err(fault),
        ReplyStep::NeedMore => panic!("not complete: {}", wire.escape_ascii()),
    }
}

fn frames(stream: &[u8]) -> Vec<Result<Vec<u8>, LineFault>> {
    let (mut framer, mut rest, mut seen) = (LineFramer::new(512), stream, Vec::new());
    loop {
        let (used, frame) = framer.next(rest);
        rest = &rest[used..];
        match frame {
            Framed::NeedMore | Framed::Hopeless => return seen,
            Framed::Line(line) => seen.push(Ok(line.to_vec())),
            Framed::Fault(fault) => seen.push(Err(fault)),
        }
    }
}

#[test]
fn the_empty_message_ends_right_behind_354() {
    assert_eq!(body_in_any_pieces(b".\r\nQUIT\r\n"), (vec![], Some(3)));
    assert_eq!(stuffed(b""), b".\r\n", "and no line is made up on the way out");
}

#[test]
fn a_first_line_that_begins_with_a_dot_is_stuffed_and_unstuffed() {
    assert_eq!(body_in_any_pieces(b"..profile\r\n.\r\n"), (b".profile\r\n".to_vec(), Some(14)));
    assert_eq!(stuffed(b".profile\r\n"), b"..profile\r\n.\r\n");
    // A single dot before text is taken off as well (RFC 5321 §4.5.2).
    assert_eq!(body_in_any_pieces(b".profile\r\n.\r\n").0, b"profile\r\n");
}

#[test]
fn no_line_is_added_to_a_message_that_ends_in_crlf() {
    assert_eq!(stuffed(b"a\r\n"), b"a\r\n.\r\n");
    assert_eq!(body_in_any_pieces(b"a\r\n.\r\n"), (b"a\r\n".to_vec(), Some(6)));
    // An empty last line is one.
    assert_eq!(stuffed(b"a\r\n\r\n"), b"a\r\n\r\n.\r\n");
    assert_eq!(body_in_any_pieces(b"a\r\n\r\n.\r\n").0, b"a\r\n\r\n");
    assert_eq!(stuffed(b"a"), b"a\r\n.\r\n", "only a line without an end gets one");
}

#[test]
fn crlf_dot_cr_cr_lf_is_no_end() {
    let (read, end) = body_in_any_pieces(b"a\r\n.\r\r\n.\r\n");
    assert_eq!((&read[..], end), (&b"a\r\n\r\r\n"[..], Some(10)));
    for near in [&b"a\r\n.\r\r\n"[..], b"a\n.\n", b"a\r.\r", b"a\n.\r\n", b"a\r\n.\n", b"a\r\n.\r", b"a\r\n.\0\r\n"] {
        assert_eq!(body_in_any_pieces(near).1, None, "{}", near.escape_ascii());
    }
    let mut decoder = DataDecoder::new();
    let mut rest = &b"a\r\n.\r\r\n.\r\n"[..];
    while let (used, DataStep::Body(_)) = decoder.next(rest) {
        rest = &rest[used..];
    }
    assert!(decoder.faults().bare_cr, "and it is told");
}

#[test]
fn a_size_beyond_64_bits_is_larger_than_any_limit_and_never_small() {
    let size = |digits: &str| MailParams::parse(&format!("SIZE={digits}")).map(|params| params.size());
    assert_eq!(size("18446744073709551615"), Ok(Some(u64::MAX)));
    assert_eq!(size("18446744073709551616"), Ok(Some(u64::MAX)));
    assert_eq!(size("99999999999999999999"), Ok(Some(u64::MAX)), "neither 0 nor 999...");
    assert_eq!(size("00000000000000000007"), Ok(Some(7)), "twenty digits, most of them zeros");
    assert_eq!(size("0000000000000000007"), Ok(Some(7)));
    assert_eq!(size("9999999999999999999"), Ok(Some(9_999_999_999_999_999_999)));
    for refused in ["100000000000000000000", "000000000000000000001", "", "-1", "+1", "1k", "1.0", "0x10", "\u{663}"] {
        assert!(size(refused).is_err(), "{refused}");
    }
    let read = MailParams::parse("SIZE=99999999999999999999").expect("twenty digits");
    assert_eq!(read.iter().collect::<Vec<_>>(), [MailParam::Size(u64::MAX)]);
}

#[test]
fn a_parameter_without_a_space_before_it_is_none() {
    let wrong = Err(SyntaxError::Params(ParamFault::Syntax));
    assert_eq!(Command::parse(b"MAIL FROM:<a@b>SIZE=1"), wrong);
    assert_eq!(Command::parse(b"MAIL FROM:<>SIZE=1"), wrong);
    assert_eq!(Command::parse(b"RCPT TO:<a@b>NOTIFY=NEVER"), wrong);
    assert_eq!(Command::parse(b"RCPT TO:<Postmaster>NOTIFY=NEVER"), wrong);
    assert_eq!(Command::parse_utf8(b"MAIL FROM:<a@b>SIZE=1"), wrong);
    assert_eq!(Command::parse(b"MAIL FROM:<a@b>\tSIZE=1"), wrong);
}

#[test]
fn lines_of_one_reply_with_different_codes_are_a_fault() {
    assert_eq!(reply(b"250-mx\r\n251 SIZE\r\n"), Err(ReplyFault::CodesDiffer));
    assert_eq!(reply(b"550-no\r\n250 yes\r\n"), Err(ReplyFault::CodesDiffer));
    assert!(EhloReply::parse(b"250-mx\r\n550 SIZE\r\n").is_err());
}

#[test]
fn an_enhanced_code_may_have_a_detail_of_300() {
    let mut reader = ReplyReader::new(ReplyLimits::default());
    reader.next(b"550 5.7.300 no\r\n");
    let enhanced = reader.reply().and_then(|reply| reply.enhanced()).expect("it has one");
    assert_eq!((enhanced.class(), enhanced.subject(), enhanced.detail()), (5, 7, 300));
    assert_eq!(enhanced.to_string(), "5.7.300");
}

#[test]
fn an_ipv6_literal_may_be_all_but_empty() {
    assert_eq!(Domain::parse("[IPv6:::1]").map(|d| d.ip()), Ok(Some("::1".parse().expect("an address"))));
    assert_eq!(Domain::parse("[IPv6:::]").map(|d| d.ip()), Ok(Some("::".parse().expect("an address"))));
    let Ok(Command::Ehlo(name)) = Command::parse(b"EHLO [IPv6:::1]") else { panic!("it is EHLO") };
    assert!(name.is_literal());
    assert!(Command::parse(b"RCPT TO:<a@[IPv6:::1]>").is_ok());
    for refused in ["[::1]", "[IPv6:]", "[IPv6:::1", "[IPv6:::1%eth0]", "[IPv6::1]", "[IPv6:1.2.3.4]"] {
        assert!(Domain::parse(refused).is_err(), "{refused}");
    }
}

#[test]
fn a_quoted_local_part_keeps_its_quotes() {
    let line = b"RCPT TO:<\"a b\"@c>";
    let Ok(command @ Command::Rcpt { to, .. }) = Command::parse(line) else { panic!("it is RCPT") };
    let mailbox = to.mailbox().expect("a mailbox");
    assert_eq!((mailbox.local_part(), mailbox.domain().as_str()), ("\"a b\"", "c"));
    assert_eq!(mailbox.unquoted_local_part(), "a b");
    let mut wire = Vec::new();
    command.write_to(&mut wire);
    assert_eq!(wire, [&line[..], b"\r\n"].concat());
}

#[test]
fn a_quoted_local_part_may_hold_what_ends_a_path() {
    let Ok(Command::Rcpt { to, params }) = Command::parse(b"RCPT TO:<\"a> \\\"@x\"@c> NOTIFY=NEVER") else {
        panic!("it is RCPT")
    };
    assert_eq!(to.as_str(), "\"a> \\\"@x\"@c");
    assert!(params.notify().is_some());
}

#[test]
fn postmaster_needs_no_domain() {
    for line in [&b"RCPT TO:<Postmaster>"[..], b"rcpt to:<POSTMASTER>", b"RCPT TO:<postmaster> NOTIFY=NEVER"] {
        let Ok(Command::Rcpt { to, .. }) = Command::parse(line) else { panic!("{}", line.escape_ascii()) };
        assert!(matches!(to, ForwardPath::Postmaster(_)));
    }
    assert_eq!(Command::parse(b"RCPT TO:<ada>"), Err(SyntaxError::ForwardPath(PathFault::NoDomain)));
    assert_eq!(Command::parse(b"MAIL FROM:<Postmaster>"), Err(SyntaxError::ReversePath(PathFault::NoDomain)));
}

#[test]
fn a_nul_in_ehlo_reaches_nobody() {
    assert_eq!(frames(b"EHLO a\0b\r\nNOOP\r\n"), [Err(LineFault::Nul), Ok(b"NOOP".to_vec())]);
    // Whoever comes without the framer is refused by the grammar.
    assert_eq!(Command::parse(b"EHLO a\0b"), Err(SyntaxError::Characters));
    assert_eq!(Command::parse_utf8(b"EHLO a\0b"), Err(SyntaxError::Characters));
    assert_eq!(Command::parse(b"EHLO mx.example\0"), Err(SyntaxError::Characters));
    assert!(Domain::parse("a\0b").is_err());
}

#[test]
fn an_ehlo_reply_without_capabilities_is_read_and_written() {
    for wire in [&b"250 mx.example.org\r\n"[..], b"250 mx.example.org Hello\r\n", b"250\r\n", b"250 \r\n"] {
        let mut reader = ReplyReader::new(ReplyLimits::default());
        assert!(matches!(reader.next(wire).1, ReplyStep::Reply(_)));
        let capabilities = Capabilities::from_reply(&reader.reply().expect("it is complete"));
        assert_eq!(capabilities.as_reply().capabilities().count(), 0, "{}", wire.escape_ascii());
    }
    let mut wire = Vec::new();
    write_ehlo_reply(&mut wire, "mx.example.org", None::<Capability<'_>>).expect("nothing in it is too long");
    assert_eq!(wire, b"250 mx.example.org\r\n", "a space and no hyphen");
}

#[test]
fn an_argument_of_data_is_refused() {
    for line in [&b"DATA x"[..], b"DATA 1", b"data <a@b>"] {
        assert_eq!(Command::parse(line), Err(SyntaxError::UnexpectedArgument), "{}", line.escape_ascii());
    }
    assert_eq!(Command::parse(b"DATA "), Ok(Command::Data), "white space at the end is to be borne (RFC 5321 §4.1.1)");
    assert_eq!(SyntaxError::UnexpectedArgument.reply().code().get(), 501);
}

#[test]
fn a_cr_in_the_argument_of_noop_is_refused_and_not_deleted() {
    assert_eq!(frames(b"NOOP a\rb\r\nQUIT\r\n"), [Err(LineFault::BareCr), Ok(b"QUIT".to_vec())]);
    assert_eq!(frames(b"NOOP a\r\r\n"), [Err(LineFault::BareCr)]);
    assert_eq!(Command::parse(b"NOOP a\rb"), Err(SyntaxError::Characters));
    assert_eq!(Command::parse(b"NOOP a\r"), Err(SyntaxError::Characters));
    assert_eq!(Text::new("a\rb"), None);
    assert_eq!(Text::new("a\r"), None);
}

#[test]
fn a_parameter_that_stands_twice_is_told() {
    for line in [
        &b"MAIL FROM:<a@b> SIZE=1 SIZE=1"[..],
        b"MAIL FROM:<a@b> SIZE=1 size=2",
        b"MAIL FROM:<a@b> BODY=7BIT SIZE=1 body=8BITMIME",
        b"MAIL FROM:<a@b> X-NEW X-new=1",
        b"RCPT TO:<a@b> NOTIFY=NEVER Notify=SUCCESS",
        b"RCPT TO:<a@b> ORCPT=rfc822;a ORCPT=rfc822;a",
    ] {
        assert_eq!(Command::parse(line), Err(SyntaxError::Params(ParamFault::Duplicate)), "{}", line.escape_ascii());
    }
    let mut params = MailParamsBuf::new();
    params.push(MailParam::SmtpUtf8).expect("the first");
    assert_eq!(params.push(MailParam::SmtpUtf8).err(), Some(ParamFault::Duplicate));
}
