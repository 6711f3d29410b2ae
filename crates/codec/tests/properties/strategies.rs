//! Values of the grammar of RFC 5321 §4.1.2, as text.

use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn dot_string() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,12}(\\.[a-z0-9+-]{1,10}){0,3}"
}

fn quoted_string() -> impl Strategy<Value = String> {
    // Printable characters but quote and backslash, and any printable one behind a backslash.
    "\"([ !#-\\[\\]-~]|\\\\[ -~]){0,20}\""
}

fn local_part() -> impl Strategy<Value = String> {
    prop_oneof![3 => dot_string(), 1 => quoted_string()]
}

/// A domain, or an address literal.
pub(crate) fn domain() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\\.[a-z]([a-z0-9-]{0,8}[a-z0-9])?){0,4}",
        1 => any::<[u8; 4]>().prop_map(|octets| format!("[{}]", Ipv4Addr::from(octets))),
        1 => any::<[u8; 16]>().prop_map(|octets| format!("[IPv6:{}]", Ipv6Addr::from(octets))),
    ]
}

/// A mailbox, without brackets.
pub(crate) fn mailbox() -> impl Strategy<Value = String> {
    (local_part(), domain()).prop_map(|(local, domain)| format!("{local}@{domain}"))
}

/// What may stand behind `FROM:`.
pub(crate) fn reverse_path() -> impl Strategy<Value = String> {
    prop_oneof![1 => Just("<>".to_owned()), 5 => mailbox().prop_map(|mailbox| format!("<{mailbox}>"))]
}

/// What may stand behind `TO:`.
pub(crate) fn forward_path() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => "<[pP][oO][sS][tT][mM][aA][sS][tT][eE][rR]>",
        5 => mailbox().prop_map(|mailbox| format!("<{mailbox}>")),
    ]
}

/// Parameters of MAIL or RCPT, no keyword twice.
pub(crate) fn params() -> impl Strategy<Value = Vec<(String, Option<String>)>> {
    let one = ("[a-zA-Z0-9][a-zA-Z0-9-]{0,9}", proptest::option::of("[!-<>-~]{1,15}"));
    proptest::collection::vec(one, 0..5).prop_map(|mut params| {
        let mut seen = Vec::new();
        params.retain(|(keyword, _)| {
            let keyword = keyword.to_ascii_uppercase();
            let new = !seen.contains(&keyword);
            seen.push(keyword);
            new
        });
        params
    })
}

/// Parameters as they stand in a line.
pub(crate) fn join(params: &[(String, Option<String>)]) -> String {
    let words: Vec<String> = params
        .iter()
        .map(|(keyword, value)| match value {
            Some(value) => format!("{keyword}={value}"),
            None => keyword.clone(),
        })
        .collect();
    words.join(" ")
}

/// Bytes in which those that mean something to a framer are frequent.
pub(crate) fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b"\r\n".to_vec()),
        2 => Just(b".".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(b"\0".to_vec()),
        2 => Just(b"250 ".to_vec()),
        2 => Just(b"250-".to_vec()),
        2 => (1_usize..12).prop_map(|lines| b"250-a\r\n".repeat(lines)),
        4 => proptest::collection::vec(any::<u8>(), 0..12),
        4 => "[ -~]{0,30}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Where to cut a stream: lengths of pieces, used in turn.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(1_usize..40, 1..8)
}

/// The stream in pieces of those lengths, again and again.
pub(crate) fn cut<'a>(mut stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &length in cuts.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (piece, rest) = stream.split_at(length.min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}
