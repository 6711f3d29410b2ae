//! Reads a log of commands with the codec alone.

use ehlo_codec::{Command, Framed, LineFramer};

/// The recipients of all RCPT commands in a stream.
pub fn recipients(mut stream: &[u8]) -> Vec<String> {
    let (mut framer, mut found) = (LineFramer::new(512), Vec::new());
    loop {
        let (used, frame) = framer.next(stream);
        stream = &stream[used..];
        match frame {
            Framed::NeedMore | Framed::Hopeless => return found,
            Framed::Fault(_) => {}
            Framed::Line(line) => {
                if let Ok(Command::Rcpt { to, .. }) = Command::parse(line) {
                    found.push(to.as_str().to_owned());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::recipients;

    #[test]
    fn recipients_are_found_between_other_lines() {
        let stream = b"MAIL FROM:<a@b>\r\nRCPT TO:<\"c d\"@e> NOTIFY=NEVER\r\nRCPT TO:<f@g\r\nNOOP\0\r\nRCPT TO:<Postmaster>\r\n";
        assert_eq!(recipients(stream), ["\"c d\"@e", "Postmaster"]);
    }
}
