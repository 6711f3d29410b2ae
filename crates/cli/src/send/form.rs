//! Bringing a file's octets into the form that a message has: quoted From_ lines of an mbox, and line ends.

/// What is done with line ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Nothing: they are CRLF.
    #[default]
    Keep,
    /// Each LF becomes CRLF; there is no CR.
    FromLf,
    /// Each CR, LF and CRLF becomes CRLF.
    Normalize,
}

/// Brings octets that come in pieces into their form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    unquote: Option<Unquote>,
    ends: Ends,
    after_cr: bool,
}

impl Form {
    pub(crate) fn new(unquote: bool, ends: Ends) -> Self {
        Self { unquote: unquote.then(Unquote::default), ends, after_cr: false }
    }

    /// Puts what a piece becomes behind `out`.
    pub(crate) fn next(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut unquoted = Vec::new();
        let piece = match &mut self.unquote {
            None => piece,
            Some(unquote) => {
                unquote.next(piece, &mut unquoted);
                &unquoted
            }
        };
        self.end_lines(piece, out);
    }

    /// Puts what was held back behind `out`.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let mut held = Vec::new();
        if let Some(unquote) = &mut self.unquote {
            unquote.give_back(&mut held);
        }
        self.end_lines(&held, out);
    }

    fn end_lines(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if self.ends == Ends::Keep {
            return out.extend_from_slice(piece);
        }
        let mut rest = piece;
        while let Some(at) = rest.iter().position(|octet| matches!(octet, b'\r' | b'\n')) {
            // Of CRLF the LF adds nothing.
            let second = at == 0 && self.after_cr && rest[0] == b'\n';
            out.extend_from_slice(&rest[..at]);
            if !second {
                out.extend_from_slice(b"\r\n");
            }
            self.after_cr = rest[at] == b'\r' && self.ends == Ends::Normalize;
            rest = &rest[at + 1..];
        }
        if !rest.is_empty() {
            self.after_cr = false;
        }
        out.extend_from_slice(rest);
    }
}

const FROM: &[u8] = b"From ";

/// Takes one `>` off each line that is any number of them and `From ` (mboxrd, and what RFC 4155 leaves to the reader).
#[derive(Clone, Debug)]
struct Unquote {
    /// Within the front of a line that may be one: how many `>` there were, and how much of `From `.
    front: Option<(usize, usize)>,
}

impl Default for Unquote {
    fn default() -> Self {
        Self { front: Some((0, 0)) }
    }
}

impl Unquote {
    fn next(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for &octet in piece {
            match &mut self.front {
                Some((quotes, 0)) if octet == b'>' => *quotes += 1,
                Some((quotes, matched)) if *quotes > 0 && octet == FROM[*matched] => {
                    *matched += 1;
                    if *matched == FROM.len() {
                        *quotes -= 1;
                        self.give_back(out);
                    }
                }
                Some(_) => {
                    self.give_back(out);
                    out.push(octet);
                }
                None => out.push(octet),
            }
            if octet == b'\n' {
                self.front = Some((0, 0));
            }
        }
    }

    fn give_back(&mut self, out: &mut Vec<u8>) {
        if let Some((quotes, matched)) = self.front.take() {
            out.resize(out.len() + quotes, b'>');
            out.extend_from_slice(&FROM[..matched]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In one piece, and in all others.
    fn form(unquote: bool, ends: Ends, text: &[u8]) -> Vec<u8> {
        let mut results = (1..=text.len().max(1)).map(|length| {
            let (mut form, mut out) = (Form::new(unquote, ends), Vec::new());
            text.chunks(length).for_each(|piece| form.next(piece, &mut out));
            form.finish(&mut out);
            out
        });
        let first = results.next().unwrap();
        assert!(results.all(|result| result == first));
        first
    }

    #[test]
    fn quotes_are_taken_off_from_lines_alone() {
        for (text, result) in [
            (">From a\n>>From b\n>Frob\n>\nx >From c\n", "From a\n>From b\n>Frob\n>\nx >From c\n"),
            ("From a\n", "From a\n"),
            (">Fro", ">Fro"),
            (">>", ">>"),
            (">F>From ", ">F>From "),
            ("\r\n>From x\r\n", "\r\nFrom x\r\n"),
        ] {
            assert_eq!(form(true, Ends::Keep, text.as_bytes()), result.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn line_ends_become_crlf() {
        assert_eq!(form(false, Ends::FromLf, b"a\n\nb"), b"a\r\n\r\nb");
        assert_eq!(form(false, Ends::Normalize, b"a\r\nb\rc\nd\r\r\n\n\r"), b"a\r\nb\r\nc\r\nd\r\n\r\n\r\n\r\n");
        assert_eq!(form(true, Ends::FromLf, b">From a\n>"), b"From a\r\n>");
        assert_eq!(form(false, Ends::Keep, b"a\n\r"), b"a\n\r");
    }
}
