//! Typed parameters, owned forms and `xtext`: what is written is read back, and the quick ways agree with the slow one.

use crate::strategies;

use ehlo_codec::{
    AuthResponse, Base64, BodyType, BurlUri, ByMode, Command, CommandBuf, DeliverBy, Domain, DomainBuf, DomainList,
    EtrnNode, Expiry, ForwardPath, ForwardPathBuf, MailParam, MailParams, MailParamsBuf, Mailbox, MailboxBuf,
    MechanismName, Notify, ObsoleteVerb, OriginalRecipient, Param, Params, Priority, RcptParam, RcptParams,
    RcptParamsBuf, RecipientValidSince, Return, ReversePath, ReversePathBuf, Text, Timestamp, Tracking, XText,
};
use proptest::prelude::*;
use proptest::sample::select;

/// Words of values, right and wrong ones, of every parameter.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[0-9]{1,21}",
        2 => select(vec!["7BIT", "8BITMIME", "8bitmime", "BINARYMIME", "BinaryMime", "8BITMIMe", "9BITMIME"]).prop_map(str::to_owned),
        3 => "(SUCCESS|FAILURE|DELAY|NEVER|success|Delay)(,(SUCCESS|failure|DELAY|NEVER)){0,3}",
        1 => select(vec!["FULL", "hdrs", "<>", "120;R", "-1;N", "+5;nt", "0;R", "-9", "10", "a/b+c:9"]).prop_map(str::to_owned),
        1 => select(vec!["2014-04-03T23:01:00Z", "2014-04-03T23:01:00.5Z;C", "2014-04-03T23:01:00+01:00;R"]).prop_map(str::to_owned),
        1 => select(vec!["rfc822;a@b", "utf-8;\\x{E4}@b", "net.example:ADV,a", "<1@b>", "a+2Bb", "a+2", "+0D+0A"]).prop_map(str::to_owned),
        2 => "[!-<>-~]{1,12}",
        1 => "[!-~é ]{0,6}",
    ]
}

/// Parameters that come close to known ones, in any case and order, with duplicates.
fn near_params() -> impl Strategy<Value = String> {
    let keyword = prop_oneof![
        4 => select(vec!["SIZE", "size", "SiZe", "BODY", "body", "bOdY", "NOTIFY", "notify", "NotiFy"]),
        2 => select(vec![
            "RET", "ENVID", "AUTH", "SMTPUTF8", "BY", "HOLDFOR", "HOLDUNTIL", "MT-PRIORITY", "MTRK", "SOLICIT", "REQUIRETLS",
            "CONPERM", "SUBMITTER", "TRANSID", "ALT-ADDRESS", "PRDR", "ORCPT", "RRVS", "CONNEG", "orcpt", "requireTLS",
        ]),
        1 => select(vec!["X", "x", "X-NEW", "SIZ", "SIZEE", "BODIES", "NOTIFYX", "-A", "SI ZE", ""]),
    ];
    let one =
        (keyword, prop_oneof![4 => value().prop_map(Some), 1 => Just(None)]).prop_map(|(keyword, value)| match value {
            Some(value) => format!("{keyword}={value}"),
            None => keyword.to_owned(),
        });
    (proptest::collection::vec(one, 0..5), select(vec![" ", " ", " ", " ", "  ", "\t"]))
        .prop_map(|(all, space)| all.join(space))
}

/// What MAIL's parameters mean, by the general grammar alone: one by one, with no knowledge of the usual forms.
fn slow_mail(params: &Params<'_>) -> Option<Vec<String>> {
    const KNOWN: &[&str] = &[
        "SIZE",
        "BODY",
        "RET",
        "ENVID",
        "AUTH",
        "SMTPUTF8",
        "BY",
        "HOLDFOR",
        "HOLDUNTIL",
        "MT-PRIORITY",
        "MTRK",
        "SOLICIT",
        "REQUIRETLS",
        "CONPERM",
        "SUBMITTER",
        "TRANSID",
        "ALT-ADDRESS",
        "PRDR",
    ];
    params
        .iter()
        .map(|param| match MailParam::from(param) {
            MailParam::Other(_) if KNOWN.iter().any(|known| known.eq_ignore_ascii_case(param.keyword)) => None,
            typed => Some(format!("{typed:?}")),
        })
        .collect()
}

fn slow_rcpt(params: &Params<'_>) -> Option<Vec<String>> {
    const KNOWN: &[&str] = &["NOTIFY", "ORCPT", "RRVS", "CONNEG", "ALT-ADDRESS"];
    params
        .iter()
        .map(|param| match RcptParam::from(param) {
            RcptParam::Other(_) if KNOWN.iter().any(|known| known.eq_ignore_ascii_case(param.keyword)) => None,
            typed => Some(format!("{typed:?}")),
        })
        .collect()
}

fn mail_agrees(fast: Result<MailParams<'_>, ehlo_codec::ParamFault>, slow: Option<Params<'_>>, text: &str) {
    let slow = slow.and_then(|params| slow_mail(&params));
    assert_eq!(fast.ok().map(|p| p.iter().map(|p| format!("{p:?}")).collect()), slow, "{text}");
    let Ok(fast) = fast else { return };
    let find = |wanted: fn(&MailParam<'_>) -> bool| fast.iter().find(wanted);
    let size = find(|p| matches!(p, MailParam::Size(_)));
    assert_eq!(fast.size().map(MailParam::Size), size, "{text}");
    assert_eq!(fast.body().map(MailParam::Body), find(|p| matches!(p, MailParam::Body(_))), "{text}");
    assert_eq!(fast.ret().map(MailParam::Ret), find(|p| matches!(p, MailParam::Ret(_))), "{text}");
    assert_eq!(fast.envid().map(MailParam::Envid), find(|p| matches!(p, MailParam::Envid(_))), "{text}");
    assert_eq!(fast.auth().map(MailParam::Auth), find(|p| matches!(p, MailParam::Auth(_))), "{text}");
    assert_eq!(fast.by().map(MailParam::By), find(|p| matches!(p, MailParam::By(_))), "{text}");
    assert_eq!(fast.priority().map(MailParam::Priority), find(|p| matches!(p, MailParam::Priority(_))), "{text}");
    assert_eq!(fast.tracking().map(MailParam::Tracking), find(|p| matches!(p, MailParam::Tracking(_))), "{text}");
    assert_eq!(fast.hold_for().is_some(), find(|p| matches!(p, MailParam::Hold(Expiry::For(_)))).is_some(), "{text}");
    assert_eq!(fast.hold_until().is_some(), find(|p| matches!(p, MailParam::Hold(Expiry::Until(_)))).is_some());
    assert_eq!(fast.smtputf8(), find(|p| *p == MailParam::SmtpUtf8).is_some(), "{text}");
    assert_eq!(fast.require_tls(), find(|p| *p == MailParam::RequireTls).is_some(), "{text}");
    let kept = MailParamsBuf::from(fast);
    assert_eq!((kept.as_params(), kept.as_str()), (fast, text));
}

fn rcpt_agrees(fast: Result<RcptParams<'_>, ehlo_codec::ParamFault>, slow: Option<Params<'_>>, text: &str) {
    let slow = slow.and_then(|params| slow_rcpt(&params));
    assert_eq!(fast.ok().map(|p| p.iter().map(|p| format!("{p:?}")).collect()), slow, "{text}");
    let Ok(fast) = fast else { return };
    let find = |wanted: fn(&RcptParam<'_>) -> bool| fast.iter().find(wanted);
    assert_eq!(fast.notify().map(RcptParam::Notify), find(|p| matches!(p, RcptParam::Notify(_))), "{text}");
    let original = find(|p| matches!(p, RcptParam::OriginalRecipient(_)));
    assert_eq!(fast.orcpt().map(RcptParam::OriginalRecipient), original, "{text}");
    assert_eq!(
        fast.valid_since().map(RcptParam::ValidSince),
        find(|p| matches!(p, RcptParam::ValidSince(_))),
        "{text}"
    );
    let kept = RcptParamsBuf::from(fast);
    assert_eq!((kept.as_params(), kept.as_str()), (fast, text));
}

/// Puts a value together; if that is possible, it is read back as it was.
fn pushed_mail(param: MailParam<'_>) -> bool {
    let mut made = MailParamsBuf::new();
    if made.push(param).is_err() {
        assert_eq!(made.as_str(), "", "nothing was added");
        return false;
    }
    let line = format!("MAIL FROM:<a@b> {made}");
    one_line(line.as_bytes());
    let Ok(Command::Mail { params, .. }) = Command::parse_utf8(line.as_bytes()) else { panic!("{line}") };
    let read: Vec<_> = params.iter().collect();
    match param {
        // A known keyword gets its meaning.
        MailParam::Other(_) => assert_eq!(read.len(), 1, "{line}"),
        _ => assert_eq!(read, [param], "{line}"),
    }
    true
}

fn pushed_rcpt(param: RcptParam<'_>) -> bool {
    let mut made = RcptParamsBuf::new();
    if made.push(param).is_err() {
        assert_eq!(made.as_str(), "", "nothing was added");
        return false;
    }
    let line = format!("RCPT TO:<a@b> {made}");
    one_line(line.as_bytes());
    let Ok(Command::Rcpt { params, .. }) = Command::parse_utf8(line.as_bytes()) else { panic!("{line}") };
    let read: Vec<_> = params.iter().collect();
    match param {
        RcptParam::Other(_) => assert_eq!(read.len(), 1, "{line}"),
        _ => assert_eq!(read, [param], "{line}"),
    }
    true
}

fn one_line(text: &[u8]) {
    assert!(!text.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "{}", text.escape_ascii());
}

/// A command is one line, and it is read back by both readers if it is ASCII, and by the wide one in any case.
fn comes_back(command: Command<'_>) {
    let mut wire = Vec::new();
    command.write_to(&mut wire);
    let line = wire.strip_suffix(b"\r\n").expect("it ends in CRLF");
    one_line(line);
    assert_eq!(Command::parse_utf8(line), Ok(command), "{}", line.escape_ascii());
    if line.is_ascii() {
        assert_eq!(Command::parse(line), Ok(command), "{}", line.escape_ascii());
    } else {
        assert!(Command::parse(line).is_err(), "{}", line.escape_ascii());
    }
    let kept = CommandBuf::from(command);
    assert_eq!((kept.as_command(), kept.as_bytes()), (command, &wire[..]));
}

/// Texts in which those bytes are frequent that would do harm.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => select(vec!["\r\n", "\r", "\n", "\0", " ", "\t", ">", "<", "\"", "\\", "@", ":", ",", ";", "=", "+", "+0D", "#", "["]).prop_map(str::to_owned),
        3 => select(vec!["a", "example.org", "a@b", "Postmaster", "é", "用户", "\u{7f}", "\u{85}", "\u{2028}", "SMTPUTF8", "imap:", "utf-8", "]"]).prop_map(str::to_owned),
        2 => "[ -~]{0,4}",
        1 => "\\PC{0,3}",
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// All commands that can be built from these texts.
fn commands<'a>(a: &'a str, b: &'a str, size: u64, flag: bool) -> Vec<Command<'a>> {
    let mut all = Vec::new();
    for id in [Domain::parse(a), Domain::parse_utf8(a)].into_iter().flatten() {
        all.extend([Command::Ehlo(id), Command::Helo(id), Command::Lhlo(id)]);
    }
    let mailbox = Mailbox::parse_utf8(a).ok();
    let from = ReversePath::parse_prefix_utf8(a).ok().map(|(path, _)| path);
    for from in mailbox.map(ReversePath::Mailbox).into_iter().chain(from).chain([ReversePath::Null]) {
        for params in [MailParams::parse_utf8(b), MailParams::parse(b), Ok(MailParams::NONE)].into_iter().flatten() {
            all.push(Command::Mail { from, params });
        }
    }
    let to = ForwardPath::parse_prefix_utf8(a).ok().map(|(path, _)| path);
    let postmaster = ehlo_codec::Postmaster::parse(a).map(ForwardPath::Postmaster);
    for to in mailbox.map(ForwardPath::Mailbox).into_iter().chain(to).chain(postmaster) {
        for params in [RcptParams::parse_utf8(b), RcptParams::parse(b), Ok(RcptParams::NONE)].into_iter().flatten() {
            all.push(Command::Rcpt { to, params });
        }
    }
    let text = Text::new(a);
    all.extend([Command::Help(text), Command::Noop(text)]);
    for verb in [ObsoleteVerb::Send, ObsoleteVerb::Soml, ObsoleteVerb::Saml, ObsoleteVerb::Turn] {
        all.push(Command::Obsolete { verb, argument: text });
    }
    // A last word SMTPUTF8 is the flag, on the wire.
    let flagged = |text: &str| text.rsplit_once(' ').is_some_and(|(_, word)| word.eq_ignore_ascii_case("SMTPUTF8"));
    if let Some(text) = text.filter(|text| flag || !flagged(text.as_str())) {
        all.extend([Command::Vrfy { text, smtputf8: flag }, Command::Expn { text, smtputf8: flag }]);
    }
    all.extend(BurlUri::parse(a).map(|uri| Command::Burl { uri, last: flag }));
    all.extend(EtrnNode::parse(a).map(Command::Etrn));
    all.extend(DomainList::parse(a).map(Command::Atrn));
    if let Some(mechanism) = MechanismName::parse(a) {
        all.push(Command::Auth { mechanism, initial_response: None });
        // An empty one is written as the sign for it.
        let response = Base64::parse(b).filter(|response| !response.as_str().is_empty());
        all.push(Command::Auth { mechanism, initial_response: response });
    }
    all.extend([Command::Bdat { size, last: flag }, Command::Data, Command::Rset, Command::Quit, Command::StartTls]);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn quick_ways_through_parameters_agree_with_the_general_grammar(text in near_params()) {
        mail_agrees(MailParams::parse(&text), Params::parse(text.as_bytes()).ok(), &text);
        mail_agrees(MailParams::parse_utf8(&text), Params::parse_utf8(&text).ok(), &text);
        rcpt_agrees(RcptParams::parse(&text), Params::parse(text.as_bytes()).ok(), &text);
        rcpt_agrees(RcptParams::parse_utf8(&text), Params::parse_utf8(&text).ok(), &text);
    }

    #[test]
    fn values_in_range_come_back(
        size: u64, seconds in -999_999_999_i32..=999_999_999, hold in 1_u32..=999_999_999, priority in -9_i8..=9,
        time in 0_i64..253_402_300_799, trace: bool, reject: Option<bool>, octets in "[ -~]{1,30}", bits in 0_u8..8,
    ) {
        for body in [BodyType::SevenBit, BodyType::EightBitMime, BodyType::BinaryMime] {
            prop_assert!(pushed_mail(MailParam::Body(body)));
        }
        for ret in [Return::Full, Return::Headers] {
            prop_assert!(pushed_mail(MailParam::Ret(ret)));
        }
        for mode in [ByMode::Notify, ByMode::Return] {
            let by = DeliverBy::new(seconds, mode, trace);
            prop_assert_eq!(by.is_some(), seconds > 0 || mode == ByMode::Notify);
            prop_assert!(by.is_none_or(|by| pushed_mail(MailParam::By(by))));
        }
        let time = Timestamp::from_unix_seconds(time).expect("before the year 10000");
        prop_assert!(pushed_mail(MailParam::Hold(Expiry::Until(time))));
        prop_assert!(pushed_mail(MailParam::Hold(Expiry::For(hold))));
        prop_assert!(pushed_mail(MailParam::Size(size)));
        prop_assert!(pushed_mail(MailParam::Priority(Priority::new(priority).expect("-9 to 9"))));
        let since = RecipientValidSince { since: time, reject };
        prop_assert!(pushed_rcpt(RcptParam::ValidSince(since)));
        let notify = [(1, Notify::SUCCESS), (2, Notify::FAILURE), (4, Notify::DELAY)]
            .into_iter()
            .filter(|(bit, _)| bits & bit != 0)
            .fold(Notify::NEVER, |all, (_, one)| all | one);
        prop_assert!(pushed_rcpt(RcptParam::Notify(notify)));
        let text = XText::encode(octets.as_bytes());
        let xtext = XText::parse(&text).expect("it was just made");
        prop_assert!(pushed_mail(MailParam::Auth(xtext)) && pushed_mail(MailParam::Envid(xtext)));
        let original = OriginalRecipient { kind: "rfc822", address: xtext };
        prop_assert!(pushed_rcpt(RcptParam::OriginalRecipient(original)));
        for param in [MailParam::SmtpUtf8, MailParam::RequireTls, MailParam::ConversionPermitted, MailParam::PerRecipientReplies] {
            prop_assert!(pushed_mail(param));
        }
        prop_assert!(pushed_rcpt(RcptParam::ContentNegotiation));
    }

    #[test]
    fn xtext_comes_back(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
        let text = XText::encode(&octets);
        let read = XText::parse(&text).expect("it is xtext");
        prop_assert_eq!(&*read.decode(), &octets[..]);
        prop_assert!(read.bytes().eq(octets.iter().copied()));
        one_line(text.as_bytes());
    }

    #[test]
    fn xtext_that_is_read_has_octets_and_holds_no_line_end(text in hostile()) {
        if let Some(read) = XText::parse(&text) {
            one_line(read.as_str().as_bytes());
            prop_assert_eq!(read.decode().len(), read.bytes().count());
        }
    }

    #[test]
    fn hostile_texts_build_no_command_of_two_lines(a in hostile(), b in hostile(), size: u64, flag: bool) {
        for command in commands(&a, &b, size, flag) {
            comes_back(command);
        }
        if let Some(AuthResponse::Response(response)) = AuthResponse::parse(a.as_bytes()) {
            one_line(response.as_str().as_bytes());
        }
    }

    #[test]
    fn what_is_valid_comes_back_whole(
        name in strategies::domain(), mailbox in strategies::mailbox(), params in near_params(), size: u64, flag: bool,
        wide in "[a-zé用]{1,6}(\\.[a-zé用]{1,6})?@[a-zé用]{1,6}(\\.[a-zé用]{1,6}){0,2}", response in "[A-Za-z0-9+/]{4,12}={0,2}",
        queue in "#[!-~]{1,8}", path in "[a-z]{2,5}://[a-z@./;=?&%-]{1,20}",
    ) {
        let list = format!("{name},{name}");
        for first in [&name, &mailbox, &wide, &queue, &path, &list, &"PLAIN".to_owned()] {
            for second in [&params, &response] {
                for command in commands(first, second, size, flag) {
                    comes_back(command);
                }
            }
        }
    }

    #[test]
    fn hostile_texts_build_no_parameter_that_breaks_out(a in hostile(), b in hostile(), number: u32, size: u64) {
        let xtext = XText::parse(&a);
        pushed_mail(MailParam::Other(Param { keyword: &a, value: Some(&b) }));
        pushed_mail(MailParam::Other(Param { keyword: &a, value: None }));
        pushed_rcpt(RcptParam::Other(Param { keyword: &a, value: Some(&b) }));
        pushed_rcpt(RcptParam::Other(Param { keyword: "X", value: Some(&b) }));
        pushed_mail(MailParam::Solicit(&a));
        pushed_mail(MailParam::TransactionId(&a));
        pushed_mail(MailParam::Tracking(Tracking { certifier: &a, timeout: Some(number) }));
        pushed_mail(MailParam::Tracking(Tracking { certifier: &a, timeout: None }));
        pushed_mail(MailParam::Hold(Expiry::For(number)));
        pushed_mail(MailParam::Size(size));
        if let Some(xtext) = xtext {
            for param in [MailParam::Envid(xtext), MailParam::Auth(xtext), MailParam::Submitter(xtext), MailParam::AltAddress(xtext)] {
                pushed_mail(param);
            }
            pushed_rcpt(RcptParam::OriginalRecipient(OriginalRecipient { kind: &b, address: xtext }));
            pushed_rcpt(RcptParam::AltAddress(xtext));
        }
    }

    #[test]
    fn owned_forms_are_what_they_were_made_from(a in hostile(), mailbox in strategies::mailbox(), name in strategies::domain()) {
        for text in [a, mailbox, name] {
            one_form::<MailboxBuf>(&text, Mailbox::parse_utf8(&text).ok().map(|m| MailboxBuf::from(m).to_string()));
            one_form::<DomainBuf>(&text, Domain::parse_utf8(&text).ok().map(|d| DomainBuf::from(d).to_string()));
            let path = format!("<{text}>");
            let from = ReversePath::parse_prefix_utf8(&path).ok().filter(|(_, rest)| rest.is_empty());
            one_form::<ReversePathBuf>(&path, from.map(|(p, _)| ReversePathBuf::from(p).to_string()));
            let to = ForwardPath::parse_prefix_utf8(&path).ok().filter(|(_, rest)| rest.is_empty());
            one_form::<ForwardPathBuf>(&path, to.map(|(p, _)| ForwardPathBuf::from(p).to_string()));
        }
    }
}

/// Reading straight into the owned form gives what the borrowed form gives, and is one line.
fn one_form<T: std::str::FromStr + ToString>(text: &str, expected: Option<String>) {
    let read = text.parse::<T>().ok().map(|form| form.to_string());
    if let Some(read) = &read {
        one_line(read.as_bytes());
    }
    assert_eq!(read, expected, "{text:?}");
}
