//! Bytes as text: the notation of `C~` and `body` lines.

/// Most bytes that one text may stand for.
const MAX: usize = 16 * 1024 * 1024;

/// Turns escaped text into bytes: `\r \n \t \0 \\ \" \{ \} \xNN`, and `{text*1000}` for a repetition.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut rest = text.as_bytes();
    let mut out = Vec::new();
    sequence(&mut rest, &mut out)?;
    if rest.is_empty() { Ok(out) } else { Err("a } without its {".to_owned()) }
}

/// Reads up to the end, or to a `}` or `*` within braces, which is left.
fn sequence(rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    while let [first, tail @ ..] = *rest {
        match first {
            b'}' => return Ok(()),
            b'{' => {
                *rest = tail;
                repetition(rest, out)?;
            }
            b'\\' => {
                *rest = tail;
                out.push(escape(rest)?);
            }
            _ => {
                out.push(*first);
                *rest = tail;
            }
        }
    }
    Ok(())
}

/// Reads `text*1000}`, whose `{` is gone. The last `*` within the braces is the one that counts.
fn repetition(rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let mut inner = Vec::new();
    let whole = *rest;
    sequence(rest, &mut inner)?;
    if rest.first() != Some(&b'}') {
        return Err("a { without its }".to_owned());
    }
    let source = &whole[..whole.len() - rest.len()];
    *rest = &rest[1..];
    let star = source.iter().rposition(|&b| b == b'*').ok_or("a { } without *N: write \\{ for the character")?;
    let count = &source[star + 1..];
    let count: usize =
        std::str::from_utf8(count).ok().and_then(|c| c.parse().ok()).ok_or("what stands behind * is no number")?;
    // The star and the digits were read as text; there are no escapes among them.
    inner.truncate(inner.len() - (source.len() - star));
    if inner.len().saturating_mul(count) > MAX {
        return Err(format!("a repetition makes more than {MAX} bytes"));
    }
    (0..count).for_each(|_| out.extend_from_slice(&inner));
    Ok(())
}

/// Reads what stands behind a backslash.
fn escape(rest: &mut &[u8]) -> Result<u8, String> {
    let (&first, tail) = rest.split_first().ok_or("a \\ at the end")?;
    *rest = tail;
    Ok(match first {
        b'r' => b'\r',
        b'n' => b'\n',
        b't' => b'\t',
        b'0' => 0,
        b'\\' | b'"' | b'{' | b'}' => first,
        b'x' => {
            let digits = tail.get(..2).and_then(|d| std::str::from_utf8(d).ok()).ok_or("\\x needs two digits")?;
            *rest = &tail[2..];
            u8::from_str_radix(digits, 16).map_err(|_| format!("\\x{digits} is no byte"))?
        }
        other => return Err(format!("\\{} is no escape", char::from(other))),
    })
}

/// Bytes for people, in the notation that [`unescape`] reads, cut after 200 of them.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut out = String::new();
    for &byte in bytes.iter().take(200) {
        match byte {
            b'\r' => out += "\\r",
            b'\n' => out += "\\n",
            b'\t' => out += "\\t",
            0 => out += "\\0",
            b'\\' | b'"' | b'{' | b'}' => out.extend(['\\', char::from(byte)]),
            32..=126 => out.push(char::from(byte)),
            _ => out += &format!("\\x{byte:02x}"),
        }
    }
    if bytes.len() > 200 {
        out += &format!(" ... ({} bytes)", bytes.len());
    }
    out
}

#[test]
fn escapes_stand_for_bytes() {
    assert_eq!(unescape(r"a\r\n\0\t\\\x7f\{\}").unwrap(), b"a\r\n\0\t\\\x7f{}");
    assert_eq!(unescape(r"<{x*3}>{a\r\n*2}{*5}").unwrap(), b"<xxx>a\r\na\r\n");
    assert_eq!(unescape(r"{{a*2}b*2}{**2}").unwrap(), b"aabaab**");
    assert_eq!(escaped(b"a\r\n\xff{"), r"a\r\n\xff\{");
    for wrong in ["\\", "\\q", "\\x1", "{a", "a}", "{a}", "{a*b}", "{a*99999999}"] {
        assert!(unescape(wrong).is_err(), "{wrong}");
    }
}
