//! What is written is read back as it was.

use crate::strategies;

use ehlo_codec::{
    Command, Domain, EnhancedCode, ForwardPath, Framed, LineFramer, MailParams, Mailbox, ObsoleteVerb, Params,
    RcptParams, Reply, ReplyCode, ReplyLimits, ReplyReader, ReplyStep, ReversePath, Text,
};
use proptest::prelude::*;

/// Writes a command, frames it, and gives it to the reader of the line.
fn written<T>(command: &Command<'_>, read: impl FnOnce(Command<'_>) -> T) -> T {
    let mut wire = Vec::new();
    command.write_to(&mut wire);
    let mut framer = LineFramer::new(wire.len());
    let (used, frame) = framer.next(&wire);
    assert_eq!(used, wire.len(), "a command is one line");
    let Framed::Line(line) = frame else { panic!("{frame:?}") };
    read(Command::parse(line).unwrap_or_else(|error| panic!("{error:?}: {}", line.escape_ascii())))
}

fn reply_code() -> impl Strategy<Value = ReplyCode> {
    (200_u16..600).prop_map(|code| ReplyCode::new(code).expect("it has three digits"))
}

proptest! {
    #[test]
    fn mail_and_its_parameters_come_back(from in strategies::reverse_path(), params in strategies::params()) {
        let (path, rest) = ReversePath::parse_prefix(from.as_bytes()).expect("a reverse-path");
        prop_assert!(rest.is_empty());
        prop_assert_eq!(path.to_string(), &from[..]);
        let text = strategies::join(&params);
        let parsed = Params::parse(text.as_bytes()).expect("parameters");
        let command = Command::Mail { from: path, params: MailParams::parse(&text).expect("parameters") };
        written(&command, |read| assert_eq!(read, command));
        let pairs: Vec<_> = parsed.iter().map(|p| (p.keyword.to_owned(), p.value.map(str::to_owned))).collect();
        for (keyword, value) in &params {
            let found = parsed.get(&keyword.to_ascii_lowercase()).expect("it is there");
            prop_assert_eq!(found.value, value.as_deref());
        }
        prop_assert_eq!(pairs, params);
    }

    #[test]
    fn rcpt_comes_back(to in strategies::forward_path(), params in strategies::params()) {
        let (path, rest) = ForwardPath::parse_prefix(to.as_bytes()).expect("a forward-path");
        prop_assert!(rest.is_empty());
        prop_assert_eq!(path.to_string(), &to[..]);
        let text = strategies::join(&params);
        let command = Command::Rcpt { to: path, params: RcptParams::parse(&text).expect("parameters") };
        written(&command, |read| assert_eq!(read, command));
    }

    #[test]
    fn a_mailbox_is_its_parts(text in strategies::mailbox()) {
        let mailbox = Mailbox::parse(&text).expect("a mailbox");
        prop_assert_eq!(format!("{}@{}", mailbox.local_part(), mailbox.domain()), &text[..]);
        prop_assert_eq!(Domain::parse(mailbox.domain().as_str()), Ok(mailbox.domain()));
        prop_assert!(mailbox.unquoted_local_part().len() <= mailbox.local_part().len());
    }

    #[test]
    fn an_address_literal_has_its_address(octets in any::<[u8; 16]>()) {
        let address = std::net::Ipv6Addr::from(octets);
        let text = format!("[IPv6:{address}]");
        prop_assert_eq!(Domain::parse(&text).expect("a literal").ip(), Some(address.into()));
    }

    #[test]
    fn a_source_route_is_dropped_and_nothing_else(
        route in proptest::collection::vec("[a-z]{1,8}(\\.[a-z]{1,5})?", 1..4),
        mailbox in strategies::mailbox(),
    ) {
        let hops: Vec<String> = route.iter().map(|hop| format!("@{hop}")).collect();
        let text = format!("<{}:{mailbox}>", hops.join(","));
        let (path, rest) = ForwardPath::parse_prefix(text.as_bytes()).expect("a path");
        prop_assert_eq!((path.as_str(), rest), (&mailbox[..], &b""[..]));
    }

    #[test]
    fn greetings_and_plain_commands_come_back(name in strategies::domain(), text in "[!-~]([ -~]{0,40}[!-~])?") {
        let id = Domain::parse(&name).expect("a domain");
        let argument = Text::new(&text).expect("text");
        for command in [
            Command::Ehlo(id),
            Command::Helo(id),
            Command::Data,
            Command::Rset,
            Command::Quit,
            Command::Noop(None),
            Command::Noop(Some(argument)),
            Command::Help(None),
            Command::Help(Some(argument)),
            Command::Vrfy { text: argument, smtputf8: false },
            Command::Expn { text: argument, smtputf8: false },
            Command::Obsolete { verb: ObsoleteVerb::Turn, argument: Some(argument) },
            Command::Obsolete { verb: ObsoleteVerb::Turn, argument: None },
        ] {
            written(&command, |read| assert_eq!(read, command));
        }
    }

    #[test]
    fn a_reply_comes_back_in_any_pieces(
        code in reply_code(),
        enhanced in proptest::option::of((0_u16..1000, 0_u16..1000)),
        lines in proptest::collection::vec("[ -~\t]{0,80}", 1..8),
        cuts in strategies::cuts(),
    ) {
        let enhanced = enhanced
            .and_then(|(subject, detail)| EnhancedCode::new(code.get() / 100, subject, detail))
            .filter(|enhanced| enhanced.agrees_with(code));
        let reply = Reply::new(code, enhanced, lines.join("\n")).expect("a reply");
        let mut wire = Vec::new();
        reply.write_to(&mut wire, true);
        prop_assert!(wire.len() <= reply.max_len());

        let mut line_by_line = Vec::new();
        let (mut count, mut next) = (0, Some(0));
        while let Some(from) = next {
            next = reply.write_line_to(&mut line_by_line, from, true);
            count += 1;
        }
        prop_assert_eq!((&line_by_line, count), (&wire, lines.len()));

        let mut reader = ReplyReader::new(ReplyLimits::default());
        let pieces = strategies::cut(&wire, &cuts);
        for (i, piece) in pieces.iter().enumerate() {
            let last = i + 1 == pieces.len();
            let expected = if last { ReplyStep::Reply(code) } else { ReplyStep::NeedMore };
            prop_assert_eq!(reader.next(piece), (piece.len(), expected));
        }
        let view = reader.reply().expect("it is complete");
        prop_assert_eq!(view.code(), code);
        // RFC 2034 §4: classes 2, 4 and 5 carry a code in any case, that of the class at the least.
        let class = code.get() / 100;
        let enhanced = enhanced.or_else(|| EnhancedCode::new(class, 0, 0).filter(|_| class != 3));
        prop_assert_eq!(view.enhanced(), enhanced);
        let texts: Vec<String> = lines
            .iter()
            .map(|line| enhanced.map_or_else(|| line.clone(), |enhanced| format!("{enhanced} {line}")))
            .collect();
        let read: Vec<String> = view.lines().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        prop_assert_eq!(read, texts);
    }

    #[test]
    fn a_reply_is_valid_or_is_not_built(code in reply_code(), text in "\\PC{0,20}[\\r\\n\\x00é]?.{0,600}") {
        if let Ok(reply) = Reply::new(code, None, text) {
            let mut wire = Vec::new();
            reply.write_to(&mut wire, true);
            let mut reader = ReplyReader::new(ReplyLimits { line: 512, ..ReplyLimits::default() });
            prop_assert_eq!(reader.next(&wire), (wire.len(), ReplyStep::Reply(code)));
        }
    }
}
