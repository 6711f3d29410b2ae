//! Character classes of RFC 5321 §4.1.2 and RFC 5234 appendix B.

/// Bytes as text, if all of them are ASCII.
pub(crate) fn ascii(bytes: &[u8]) -> Option<&str> {
    if bytes.is_ascii() { core::str::from_utf8(bytes).ok() } else { None }
}

/// Splits trailing spaces off. RFC 5321 §4.1.1: receivers SHOULD tolerate white space before the CRLF.
pub(crate) fn trim_end(bytes: &[u8]) -> &[u8] {
    let mut end = bytes.len();
    while end > 0 && matches!(bytes[end - 1], b' ' | b'\t') {
        end -= 1;
    }
    &bytes[..end]
}

/// `atext` of RFC 5322 §3.2.3.
pub(crate) const fn is_atext(byte: u8) -> bool {
    matches!(byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9'
        | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'/' | b'=' | b'?' | b'^' | b'_' | b'`' | b'{' | b'|'
        | b'}' | b'~')
}

/// `esmtp-value` characters: 33-60 and 62-126.
pub(crate) const fn is_esmtp_value(byte: u8) -> bool {
    matches!(byte, 33..=60 | 62..=126)
}
