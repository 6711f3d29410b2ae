//! What scripted peers say.

use crate::rng::Rng;
use ehlo_codec::Base64;

/// Paths that are right.
const PATHS: &[&str] = &[
    "<ada@client.example>",
    "<bob@mx.example>",
    "<\"a b\"@x.example>",
    "<\"a\\\"b>c\"@x.example>",
    "<Postmaster>",
    "<postmaster@mx.example>",
    "<@a.example,@b.example:c@d.example>",
    "<e@[192.0.2.1]>",
    "<f@[IPv6:2001:db8::1]>",
    "<x+y.z@sub.sub.example>",
    "<j\u{f6}rg@b\u{fc}cher.example>",
];

/// Paths that are wrong.
const BAD_PATHS: &[&str] = &[
    "",
    "<",
    "<>",
    "<a@b",
    "a@b>",
    "ada@client.example",
    "<a b@c>",
    "<a@>",
    "<@b>",
    "<a..b@c>",
    "<a@b@c>",
    "<a@[300.0.0.1]>",
    "<\"a@b>",
    "<a@-b>",
    "<a\u{e9}@b>",
    "<<a@b>>",
    " <a@b>",
];

/// Parameters, right and wrong, on offer and not.
const PARAMS: &[&str] = &[
    " SIZE=100",
    " SIZE=0",
    " SIZE=99999999999999999999999",
    " SIZE=x",
    " SIZE",
    " BODY=7BIT",
    " BODY=8BITMIME",
    " BODY=BINARYMIME",
    " BODY=",
    " body=8bitmime size=5",
    " SIZE=1 SIZE=2",
    " SMTPUTF8",
    " SMTPUTF8 BODY=8BITMIME",
    " RET=HDRS ENVID=a+2Bb",
    " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@b",
    " NOTIFY=NEVER",
    " NOTIFY=NEVER,DELAY",
    " ORCPT=x",
    " REQUIRETLS",
    " AUTH=<>",
    " BY=120;R",
    " MT-PRIORITY=3",
    " HOLDFOR=5",
    " RRVS=2014-04-03T23:01:00Z",
    " X=y",
    " =",
    "  ",
    " \t",
];

/// Whole lines that are no mail.
const LINES: &[&[u8]] = &[
    b"NOOP",
    b"NOOP x",
    b"noop",
    b"RSET",
    b"RSET x",
    b"HELP",
    b"HELP MAIL",
    b"VRFY bob",
    b"VRFY <bob@mx.example>",
    b"VRFY",
    b"EXPN list",
    b"VRFY j\xc3\xb6rg SMTPUTF8",
    b"HELO client.example",
    b"HELO [127.0.0.1]",
    b"EHLO client.example",
    b"EHLO",
    b"EHLO a b",
    b"EHLO -",
    b"LHLO client.example",
    b"QUIT x",
    b"TURN",
    b"ETRN example.org",
    b"ETRN @example.org",
    b"ETRN #queue",
    b"ETRN",
    b"BDAT",
    b"BDAT 0",
    b"BDAT 0 LAST",
    b"BDAT 7",
    b"BDAT 20 last",
    b"BDAT 99999999999",
    b"BDAT -1",
    b"BDAT x",
    b"AUTH",
    b"AUTH NOPE",
    b"AUTH PLAIN !",
    b"AUTH PLAIN *",
    b"AUTH PLAIN AGEAYg== x",
    b"AUTH EXTERNAL =",
    b"*",
    b"AGEAYg==",
    b"XCLIENT ADDR=1.2.3.4",
    b"GET / HTTP/1.1",
    b"Subject: hello",
    b"DATA x",
    b"DATA",
    b".",
    b"",
    b" ",
    b"\x00",
    b"MAIL",
    b"MAIL FROM",
    b"MAIL FROM <a@b>",
    b"RCPT TO",
    b"\xff\xfe\xfd",
    b"MAIL\x00FROM:<a@b>",
    b"NOOP a\rb",
    b"MAIL FROM:<a@b>\rRCPT TO:<c@d>",
];

/// Ends of lines; only the first is one.
const ENDS: &[&[u8]] = &[b"\r\n", b"\n", b"\r", b"\n\r", b"\r\r\n", b"\0\r\n"];

/// What bodies are made of.
const PIECES: &[&[u8]] = &[
    b"text\r\n",
    b"\r\n",
    b".",
    b"..\r\n",
    b".\r",
    b"\r\n.",
    b"\r\n..",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\n.\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"MAIL FROM:<evil@x.example>\r\n",
    b"\xc3\xa9",
    b"QUIT\r\n",
    b"Received: from a by b; then\r\n",
    b"received \t:\n",
];

/// A path, mostly right.
pub(super) fn path(rng: &mut Rng) -> &'static str {
    if rng.percent(92) { rng.pick::<&str>(PATHS) } else { rng.pick::<&str>(BAD_PATHS) }
}

/// The end of a line, nearly always right.
pub(super) fn end(rng: &mut Rng) -> &'static [u8] {
    if rng.percent(98) { b"\r\n" } else { rng.pick::<&[u8]>(ENDS) }
}

/// The beginning of an AUTH exchange: with an initial response of some octets, of none, or without one.
pub(super) fn auth(rng: &mut Rng, out: &mut Vec<u8>) {
    const NAMES: &[&str] = &[
        "PLAIN",
        "PLAIN",
        "LOGIN",
        "CRAM-MD5",
        "EXTERNAL",
        "SCRAM-SHA-256-PLUS",
        "plain",
        "Scram-Sha-256-Plus",
        "X-NEW",
    ];
    out.extend_from_slice(b"AUTH ");
    out.extend_from_slice(rng.pick(NAMES).as_bytes());
    match rng.below(5) {
        0 | 1 => {}
        2 => out.extend_from_slice(b" ="),
        _ => {
            out.push(b' ');
            base64(rng, out);
        }
    }
}

/// A line that goes on with one, or gives it up.
pub(super) fn response(rng: &mut Rng, out: &mut Vec<u8>) {
    match rng.below(16) {
        0 => out.push(b'*'),
        1 => out.extend_from_slice(b"not base64"),
        2 => out.resize(out.len() + rng.between(90, 13_000), b'A'),
        3 => any_line(rng, out),
        4 => {}
        // Bits that are left over, padding that is missing, too much of it, and some in the middle.
        5 => out.extend_from_slice(rng.pick::<&[u8]>(&[
            &b"AB=="[..],
            b"AAB=",
            b"AA",
            b"AAA",
            b"A===",
            b"====",
            b"AA==AAAA",
            b"=",
        ])),
        _ => base64(rng, out),
    }
}

/// The base64 of some octets.
fn base64(rng: &mut Rng, out: &mut Vec<u8>) {
    // As long as a line may be with one of the limits, and beyond.
    let exact = *rng.pick(&[75, 76, 9216, 9217]);
    let most = *rng.pick(&[3, 3, 30, 400, 9000]);
    let length = if rng.percent(20) { exact } else { rng.below(most + 1) };
    let octets: Vec<u8> = (0..length).map(|_| rng.next() as u8).collect();
    Base64::encode(&octets, out);
}

/// None, some or too many parameters.
pub(super) fn params(rng: &mut Rng, out: &mut Vec<u8>) {
    if rng.percent(15) {
        for _ in 0..rng.between(1, 3) {
            out.extend_from_slice(rng.pick(PARAMS).as_bytes());
        }
    }
}

/// A line of any kind, without its end.
pub(super) fn any_line(rng: &mut Rng, out: &mut Vec<u8>) {
    match rng.below(20) {
        0 => junk(rng, out, 80),
        // About where lines are too long, and far beyond.
        1 => {
            let length = *rng.pick(&[500, 505, 506, 507, 508, 540, 1000, 2500, 5000]);
            out.extend_from_slice(b"NOOP ");
            out.resize(out.len() + length, b'x');
        }
        _ => out.extend_from_slice(rng.pick::<&[u8]>(LINES)),
    }
}

/// Any bytes.
pub(super) fn junk(rng: &mut Rng, out: &mut Vec<u8>, most: usize) {
    for _ in 0..rng.below(most + 1) {
        out.push(rng.next() as u8);
    }
}

/// A message without its end. Whether it is one that a server must take or refuse as a whole is not this one's business.
pub(super) fn body(rng: &mut Rng, out: &mut Vec<u8>) {
    let odd = rng.percent(35);
    let most = if rng.percent(10) { 400 } else { 12 };
    for _ in 0..rng.below(most) {
        let piece = if odd { *rng.pick(PIECES) } else { *rng.pick(&PIECES[..2]) };
        out.extend_from_slice(piece);
    }
}
