//! Making CRLF of bare CR and LF ([`BareLineEnds::Normalize`](crate::BareLineEnds::Normalize)), without a copy: what is missing is put in
//! between slices of the input.

/// Where a message stands.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::session) struct Normalizer {
    /// Behind a CR that has no LF yet.
    after_cr: bool,
}

impl Normalizer {
    /// How much of the piece, which is not empty, can be handed out; or else, what has to be handed out before it.
    pub(super) fn next(&mut self, piece: &[u8]) -> Result<usize, &'static [u8]> {
        match (self.after_cr, piece[0] == b'\n') {
            (true, false) => {
                self.after_cr = false;
                return Err(b"\n");
            }
            (false, true) => {
                self.after_cr = true;
                return Err(b"\r");
            }
            _ => {}
        }
        let length = (0..piece.len()).find_map(|at| cut(piece, at)).unwrap_or(piece.len());
        self.after_cr = piece[length - 1] == b'\r';
        Ok(length)
    }

    /// What has to be handed out at the end of the message.
    pub(super) fn finish(&mut self) -> Option<&'static [u8]> {
        std::mem::take(&mut self.after_cr).then_some(b"\n")
    }
}

/// Where something is missing beside the octet at that place, if it is a CR or LF that stands alone. The first octet was judged before.
fn cut(piece: &[u8], at: usize) -> Option<usize> {
    match (piece[at], piece.get(at + 1)) {
        (b'\r', Some(next)) if *next != b'\n' => Some(at + 1),
        (b'\n', _) if at > 0 && piece[at - 1] != b'\r' => Some(at),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All bare CR and LF of a message made CRLF, by definition.
    fn model(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for (at, &byte) in message.iter().enumerate() {
            if byte == b'\n' && (at == 0 || message[at - 1] != b'\r') {
                out.push(b'\r');
            }
            out.push(byte);
            if byte == b'\r' && message.get(at + 1) != Some(&b'\n') {
                out.push(b'\n');
            }
        }
        out
    }

    #[test]
    fn each_short_message_in_any_pieces_is_what_the_definition_says() {
        let alphabet = [b'\r', b'\n', b'a'];
        for code in 0..3_usize.pow(6) {
            let message: Vec<u8> = (0..6).map(|i| alphabet[code / 3_usize.pow(i) % 3]).collect();
            for cuts in 0..1_u32 << 5 {
                let (mut normalizer, mut out, mut start) = (Normalizer::default(), Vec::new(), 0);
                for end in 1..=6 {
                    if end < 6 && cuts >> (end - 1) & 1 == 0 {
                        continue;
                    }
                    let mut piece = &message[start..end];
                    while !piece.is_empty() {
                        match normalizer.next(piece) {
                            Ok(length) => {
                                assert!(length > 0);
                                out.extend_from_slice(&piece[..length]);
                                piece = &piece[length..];
                            }
                            Err(missing) => out.extend_from_slice(missing),
                        }
                    }
                    start = end;
                }
                out.extend(normalizer.finish().into_iter().flatten());
                assert_eq!(out, model(&message), "{message:?} cut as {cuts:b}");
            }
        }
    }
}
