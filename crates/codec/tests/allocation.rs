//! Reading commands allocates nothing, whatever is in the line.

use ehlo_codec::{Command, CommandLine, Domain, ForwardPath, Mailbox, Params, ReversePath};

/// Lines of every day, those that the benchmarks read, and lines that were made to cost something.
fn lines() -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = [
        "MAIL FROM:<john.doe@example.com> SIZE=12345 BODY=8BITMIME",
        "RCPT TO:<jane.roe@example.org> NOTIFY=SUCCESS,FAILURE",
        "EHLO mail.example.com",
        "MAIL FROM:<>",
        "MAIL FROM:<ä@bücher.example> SMTPUTF8 BODY=BINARYMIME SIZE=99999999999999999999",
        "MAIL FROM:<a@b> RET=HDRS ENVID=QQ314159 AUTH=e+3Dmc2@example.com BY=120;RT HOLDFOR=7200 MT-PRIORITY=3",
        "MAIL FROM:<a@b> HOLDUNTIL=2026-08-11T12:00:00Z MTRK=abc:9 SOLICIT=a:b,c REQUIRETLS TRANSID=<1@b> X-NEW=1",
        "RCPT TO:<\"a\\\"b>c\"@[IPv6:2001:db8::1]> ORCPT=rfc822;a+2Bb@c RRVS=2014-04-03T23:01:00Z;C CONNEG",
        "RCPT TO:<@a.example,@b.example:c@d.example>",
        "RCPT TO:<Postmaster>",
        "BDAT 1000 LAST",
        "AUTH PLAIN AGFkYQBzZWNyZXQ=",
        "VRFY ada SMTPUTF8",
        "ETRN @example.org",
        "ATRN a.example,b.example",
        "BURL imap://example.org/x LAST",
        "NOOP text",
        "DATA x",
        "XYZZY",
        "MAIL FROM:<a@b>SIZE=1",
        "RCPT TO:<a@b> NOTIFY=NEVER,DELAY",
    ]
    .into_iter()
    .map(|line| line.as_bytes().to_vec())
    .collect();
    for start in
        ["MAIL FROM:<", "MAIL FROM:<a@b> ", "RCPT TO:<\"", "RCPT TO:<@", "EHLO ", "NOOP ", "ATRN ", "AUTH ", ""]
    {
        for unit in [
            "a", ".", "a.", "\"", "\\", "\\\"", "@", "@a,", "X=1 ", "A ", " ", "=", "+2B", "\u{e9}", "a,", "<", ">",
            "-",
        ] {
            lines.push([start.as_bytes(), unit.repeat(4096 / unit.len()).as_bytes()].concat());
        }
        lines.push([start.as_bytes(), &[0xff; 4096]].concat());
        lines.push([start.as_bytes(), &[0; 4096]].concat());
    }
    lines.push(
        b"MAIL FROM:<a@b> ".iter().copied().chain((0..70).flat_map(|i| format!("X{i}=1 ").into_bytes())).collect(),
    );
    lines
}

#[test]
fn reading_a_command_allocates_nothing() {
    for line in lines() {
        let text = std::str::from_utf8(&line).ok();
        let counted = allocation_counter::measure(|| {
            let split = CommandLine::split(&line);
            let read = (Command::parse(&line), Command::parse_utf8(&line), split.parse());
            std::hint::black_box(&read);
            for command in [read.0, read.1].into_iter().flatten() {
                match command {
                    Command::Mail { from, params } => {
                        std::hint::black_box((from.as_str(), params.iter().count(), params.auth(), params.by()));
                    }
                    Command::Rcpt { to, params } => {
                        std::hint::black_box((to.as_str(), params.iter().count(), params.notify(), params.orcpt()));
                    }
                    _ => {}
                }
            }
            if let Some(text) = text {
                std::hint::black_box((Mailbox::parse_utf8(text).is_ok(), Domain::parse_utf8(text).is_ok()));
                std::hint::black_box((Mailbox::parse(text).is_ok(), Domain::parse(text).is_ok()));
            }
            std::hint::black_box((ReversePath::parse_prefix(&line).is_ok(), ForwardPath::parse_prefix(&line).is_ok()));
            std::hint::black_box(Params::parse(&line).is_ok());
        });
        assert_eq!(counted.count_total, 0, "{}", line[..line.len().min(80)].escape_ascii());
    }
}

#[test]
fn the_counter_counts() {
    let counted = allocation_counter::measure(|| {
        std::hint::black_box(vec![0_u8; 10]);
    });
    assert_eq!(counted.count_total, 1);
}
