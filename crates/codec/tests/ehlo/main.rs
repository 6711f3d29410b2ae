//! Laws of replies to EHLO: what is written is read back, the bytes are the same reply by every way, and reading one allocates nothing.

use ehlo_codec::{
    Auth, AuthMechanism, Capabilities, Capability, EhloError, EhloReply, Extension, FutureRelease, Limits, ReplyLimits,
    ReplyReader, ReplyStep, Timestamp, Words, write_ehlo_reply,
};
use proptest::prelude::*;

/// A capability as text, in the form in which it is written.
fn capability() -> impl Strategy<Value = String> {
    let words = |separator: &'static str| {
        proptest::collection::vec("[a-zA-Z0-9:._-]{1,12}", 1..5).prop_map(move |words| words.join(separator))
    };
    let bare: Vec<String> = Extension::ALL.iter().map(ToString::to_string).filter(|k| k != "FUTURERELEASE").collect();
    prop_oneof![
        4 => proptest::sample::select(bare),
        1 => any::<u64>().prop_map(|size| format!("SIZE {size}")),
        1 => words(" ").prop_map(|words| format!("AUTH {words}")),
        1 => proptest::collection::vec(proptest::sample::select(&AuthMechanism::ALL[..]), 1..5).prop_map(|mechanisms| {
            mechanisms.iter().fold("AUTH".to_owned(), |line, mechanism| format!("{line} {mechanism}"))
        }),
        1 => words(" ").prop_map(|words| format!("AUTH={words}")),
        1 => (1_u32..1_000_000).prop_map(|most| format!("LIMITS RCPTMAX={most} X-NEW=a")),
        1 => (0_u32..1_000_000_000).prop_map(|least| format!("DELIVERBY {least}")),
        1 => (1_u32..1_000_000_000, 0_i64..253_402_300_800).prop_map(|(interval, until)| {
            format!("FUTURERELEASE {interval} {}", Timestamp::from_unix_seconds(until).expect("a year of four digits"))
        }),
        1 => "[A-Za-z0-9_.-]{1,20}".prop_map(|policy| format!("MT-PRIORITY {policy}")),
        1 => words(",").prop_map(|words| format!("NO-SOLICITING {words}")),
        1 => words(" ").prop_map(|words| format!("BURL {words}")),
        1 => words(" ").prop_map(|words| format!("XCLIENT {words}")),
        1 => words(" ").prop_map(|words| format!("XFORWARD {words}")),
        2 => "X-[!-~]{1,12}( [!-~]{1,8}){0,3}",
    ]
}

fn greeting() -> impl Strategy<Value = String> {
    "[a-z0-9.-]{1,20}( [ -~]{0,30})?"
}

/// Bytes that are nearly a reply to EHLO.
fn nearly_a_reply() -> impl Strategy<Value = Vec<u8>> {
    let mut pieces: Vec<&[u8]> = vec![
        b"250-",
        b"250-",
        b"250-",
        b"250 ",
        b"250",
        b"251 ",
        b"500 ",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"\0",
        b" ",
        b"\t",
        b"=",
        b"mx.example",
        b"10",
        b"X",
        b"PLAIN",
        b"SIZE 52428800",
        b"SIZE 123456789",
        b"AUTH PLAIN scram-sha-256",
        b"AUTH LOGIN X",
        b"AUTH=LOGIN",
        b"\xff",
        b"\x0b",
        b"\x10",
    ];
    pieces.extend(Extension::ALL.iter().map(|extension| extension.keyword().as_bytes()));
    let lines = proptest::collection::vec(
        (
            proptest::sample::select(pieces.clone()),
            proptest::sample::select(vec![&b"\r\n"[..], b"\r\n", b" 1\r\n", b""]),
        ),
        0..12,
    )
    .prop_map(|lines| lines.iter().flat_map(|(text, end)| [&b"250-"[..], text, end].concat()).collect::<Vec<u8>>());
    let any = proptest::collection::vec(proptest::sample::select(pieces), 0..30).prop_map(|pieces| pieces.concat());
    (lines, any).prop_map(|(lines, any)| [lines, any].concat())
}

/// The limits: those that are usual, and some that are soon reached.
fn limits() -> impl Strategy<Value = ReplyLimits> {
    prop_oneof![
        Just(ReplyLimits::default()),
        (4_usize..60, 0_usize..200, 0_usize..10).prop_map(|(line, total, lines)| ReplyLimits { line, total, lines }),
    ]
}

/// What a reader makes of a stream that comes in pieces of so many bytes.
fn by_reader(stream: &[u8], limits: ReplyLimits, piece: usize) -> Result<(String, usize), EhloError> {
    let mut reader = ReplyReader::new(limits);
    let mut used = 0;
    for piece in stream.chunks(piece) {
        let (length, step) = reader.next(piece);
        used += length;
        match step {
            ReplyStep::NeedMore => {}
            ReplyStep::Fault(fault) => return Err(EhloError::Fault(fault)),
            ReplyStep::Reply(code) if code.get() != 250 => return Err(EhloError::Refused(code)),
            ReplyStep::Reply(_) => {
                let view = reader.reply().expect("it is complete");
                return Ok((told(&EhloReply::from_view(&view)), used));
            }
        }
    }
    Err(EhloError::Incomplete)
}

/// All that a reply tells.
fn told(reply: &EhloReply<'_>) -> String {
    let known: Vec<_> = Extension::ALL.into_iter().filter(|&extension| reply.has(extension)).collect();
    let values = (reply.max_size(), reply.auth(), reply.limits(), reply.deliver_by(), reply.future_release());
    // What was read at once is what the words say.
    let by_words = reply.auth().map(|auth| auth.known()).unwrap_or_default();
    assert_eq!(reply.mechanisms(), by_words);
    let lists = (reply.mt_priority(), reply.no_soliciting(), reply.burl(), reply.xclient(), reply.xforward());
    let capabilities: Vec<_> = reply.capabilities().collect();
    format!("{known:?} {values:?} {lists:?} {:?} {} {capabilities:?} {reply:?}", reply.greeting(), reply.domain())
}

proptest! {
    #[test]
    fn a_capability_that_was_written_is_read_as_the_same(line in capability()) {
        let read = Capability::parse(&line).expect("it is a capability");
        prop_assert_eq!(read.to_string(), line.clone());
        let written = read.to_string();
        prop_assert_eq!(Capability::parse(&written), Ok(read));
        let is_other = matches!(read, Capability::Other { .. });
        prop_assert_eq!(is_other, line.starts_with("X-"));
    }

    #[test]
    fn any_line_that_is_read_is_written_and_read_as_the_same(line in "[ -~\t]{0,40}") {
        if let Ok(read) = Capability::parse(&line) {
            let written = read.to_string();
            prop_assert_eq!(Capability::parse(&written), Ok(read));
        }
    }

    #[test]
    fn a_reply_that_was_written_is_read_as_the_same(
        greeting in greeting(),
        lines in proptest::collection::vec(capability(), 0..20),
        behind in "(250 OK\r\n)?",
    ) {
        let mut wire = Vec::new();
        write_ehlo_reply(&mut wire, &greeting, &lines).expect("its lines are text");
        let length = wire.len();
        wire.extend_from_slice(behind.as_bytes());
        let (reply, used) = EhloReply::parse(&wire).expect("it is a reply");
        prop_assert_eq!((used, reply.greeting()), (length, greeting.as_str()));
        prop_assert_eq!(reply.lines().collect::<Vec<_>>(), lines.clone());
        let typed: Vec<_> = lines.iter().map(|line| Capability::parse(line).expect("it is a capability")).collect();
        prop_assert_eq!(reply.capabilities().collect::<Vec<_>>(), typed.clone());
        for extension in Extension::ALL {
            prop_assert_eq!(reply.has(extension), typed.iter().any(|each| each.extension() == Some(extension)));
        }
        // The getters and the capabilities say the same: of the last line with a keyword.
        for capability in &typed {
            let last = typed.iter().rev().find(|each| std::mem::discriminant(*each) == std::mem::discriminant(capability));
            match *last.expect("it is one of them") {
                Capability::Size(size) => prop_assert_eq!(reply.max_size(), size.filter(|&size| size > 0)),
                Capability::Limits(limits) => prop_assert_eq!(reply.limits(), limits),
                Capability::DeliverBy(least) => prop_assert_eq!(reply.deliver_by(), least),
                Capability::FutureRelease(release) => prop_assert_eq!(reply.future_release(), Some(release)),
                Capability::MtPriority(policy) => prop_assert_eq!(reply.mt_priority(), policy),
                Capability::NoSoliciting(words) => prop_assert_eq!(reply.no_soliciting(), Some(words)),
                Capability::Burl(words) => prop_assert_eq!(reply.burl(), Some(words)),
                Capability::XClient(words) => prop_assert_eq!(reply.xclient(), Some(words)),
                Capability::XForward(words) => prop_assert_eq!(reply.xforward(), Some(words)),
                _ => {}
            }
        }
        let auth = |old| typed.iter().rev().find_map(|each| match each {
            Capability::Auth(auth) if auth.is_old_form() == old => Some(*auth),
            _ => None,
        });
        prop_assert_eq!(reply.auth(), auth(false).or_else(|| auth(true)));
        // Kept, it is the same, and written again too.
        let kept = Capabilities::from(&reply);
        prop_assert_eq!(told(&kept.as_reply()), told(&reply));
        let mut again = Vec::new();
        write_ehlo_reply(&mut again, reply.greeting(), reply.capabilities()).expect("it was read");
        prop_assert_eq!(&again[..], &wire[..length]);
    }

    #[test]
    fn any_bytes_are_the_same_reply_from_the_wire_and_by_a_reader_in_any_pieces(
        stream in nearly_a_reply(),
        limits in limits(),
        piece in 1_usize..40,
    ) {
        let parsed = EhloReply::parse_within(&stream, limits).map(|(reply, used)| (told(&reply), used));
        let refused_early = matches!(parsed, Err(EhloError::Refused(_)));
        for piece in [1, piece, stream.len().max(1)] {
            let read = by_reader(&stream, limits, piece);
            // A refusal is known by its first line; a reader looks at the whole of it.
            if !refused_early {
                prop_assert_eq!(&read, &parsed, "pieces of {}", piece);
            }
        }
    }

    #[test]
    fn no_text_makes_a_timestamp_panic_and_what_is_read_is_written(text in "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,10})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])|\\PC{0,40}") {
        if let Ok(time) = Timestamp::parse(&text) {
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
            prop_assert!(time.to_string().replace('Z', "+00:00").eq_ignore_ascii_case(&text.to_ascii_uppercase().replace('Z', "+00:00")));
        }
    }

    #[test]
    fn seconds_of_any_time_are_a_timestamp_and_back(seconds in any::<i64>(), near in -100_000_000_000_i64..300_000_000_000) {
        for seconds in [seconds, near] {
            if let Some(time) = Timestamp::from_unix_seconds(seconds) {
                prop_assert_eq!(time.unix_seconds(), seconds);
                prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
            }
        }
    }
}

const REPLY: &[u8] = b"250-mail.example.com at your service\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n\
    250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n250-LIMITS RCPTMAX=100\r\n250-CHUNKING\r\n\
    250-FUTURERELEASE 86400 2027-02-28T09:30:00Z\r\n250-X-NEW a b\r\n250 HELP\r\n";

#[test]
fn reading_a_reply_and_all_that_it_tells_allocates_nothing() {
    let count = allocation_counter::measure(|| {
        let (reply, used) = EhloReply::parse(REPLY).expect("it is a reply");
        assert_eq!(used, REPLY.len());
        assert_eq!((reply.domain(), reply.max_size()), ("mail.example.com", Some(52_428_800)));
        assert_eq!(reply.auth(), Some(Auth::new("PLAIN LOGIN SCRAM-SHA-256")));
        assert!(reply.mechanisms().contains(AuthMechanism::ScramSha256));
        assert_eq!(reply.limits(), Limits::new("RCPTMAX=100"));
        let max_until = Timestamp::parse("2027-02-28T09:30:00Z").expect("it is one");
        assert_eq!(reply.future_release(), Some(FutureRelease { max_interval: 86_400, max_until }));
        assert_eq!(reply.burl(), None::<Words<'_>>);
        assert_eq!(reply.capabilities().count(), 11);
    });
    assert_eq!(count.count_total, 0, "allocations");
}

#[test]
fn a_reader_that_has_read_one_reads_the_next_without_an_allocation() {
    let mut reader = ReplyReader::new(ReplyLimits::default());
    let mut read = || {
        for piece in REPLY.chunks(100) {
            reader.next(piece);
        }
        let reply = reader.reply().expect("it is complete");
        assert!(EhloReply::from_view(&reply).has(Extension::Help));
    };
    read();
    assert_eq!(allocation_counter::measure(read).count_total, 0, "allocations");
}
