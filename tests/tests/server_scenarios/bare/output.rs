//! What the session puts out: looked at line by line, and taken as the peer of the scenario reads.

use ehlo_server::Questions;

use super::{Bare, Cause, LoggedReply};
use crate::script::Seen;
use crate::splits::Reading;

impl Bare<'_> {
    /// Looks at new output, and takes it as far as the peer reads it.
    pub(super) fn look(&mut self) -> Result<(), String> {
        loop {
            if !self.reading {
                return Ok(());
            }
            let new = self.session.output()[self.looked_at..].to_vec();
            self.looked_at += new.len();
            for byte in new {
                self.partial.push(byte);
                if byte == b'\n' {
                    self.line()?;
                }
            }
            let length = self.session.output().len();
            let sent = match self.plan.reading {
                Reading::AtOnce => length,
                Reading::Late => 0,
                Reading::Trickle(n) => n.min(length),
            };
            if sent == 0 {
                return Ok(());
            }
            self.session.output_sent(self.now, sent);
            self.looked_at -= sent;
            self.took = true;
            if !matches!(self.plan.reading, Reading::AtOnce) {
                return Ok(());
            }
        }
    }

    /// Has the peer read what waits, if it has to for something to happen. Gives whether there was something.
    pub(super) fn release(&mut self) -> bool {
        let length = self.session.output().len();
        if !self.reading || length == 0 {
            return false;
        }
        let sent = match self.plan.reading {
            Reading::Trickle(n) => n.min(length),
            _ => length,
        };
        // The rest of a longer reply that was looked at already is not looked at again.
        self.session.output_sent(self.now, sent);
        self.looked_at -= sent;
        true
    }

    /// A whole line of a reply has come.
    pub(super) fn line(&mut self) -> Result<(), String> {
        let line = std::mem::take(&mut self.partial);
        // A challenge may be longer (RFC 4954 §4).
        self.ensure(line.len() <= 512 || line.starts_with(b"334 "), "a reply line of 512 octets at the most")?;
        self.ensure(!self.closed, "no output after the end")?;
        let text = line.strip_suffix(b"\r\n").unwrap_or_default();
        if self.scenario.config.questions.contains(Questions::OVERRIDE) {
            // It may be anything, and is the session's own only in part.
            return self.see(&Seen::Reply(String::from_utf8_lossy(text).into_owned())).map(|_| ());
        }
        // The session's own replies are ASCII; the application's may name addresses that are not (RFC 6531 §3.7.4).
        let utf8 = self.foreign && std::str::from_utf8(text).is_ok();
        self.ensure(
            text.len() >= 4
                && text[..4].is_ascii()
                && text.iter().all(|b| matches!(b, b'\t' | 32..=126) || (utf8 && *b > 127)),
            "printable reply lines with CRLF",
        )?;
        let text = String::from_utf8_lossy(text).into_owned();
        let code = &text[..3];
        self.ensure(matches!(code.as_bytes(), [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']), "a code of three digits")?;
        self.ensure(self.open_reply.as_ref().is_none_or(|open| open == code), "one code on all lines of a reply")?;
        let last = match text.as_bytes()[3] {
            b'-' => false,
            b' ' => true,
            _ => return self.fail(&text, "a space or - behind the code"),
        };
        self.open_reply = if last { None } else { Some(code.to_owned()) };
        if last {
            self.replies.push(LoggedReply {
                line: text.clone(),
                cause: if self.delayed { Cause::Unknown } else { self.cause },
                foreign: self.foreign,
                in_message: self.in_message,
                in_exchange: self.in_exchange,
                command: self.command.clone(),
            });
            self.in_exchange = code == "334";
            self.in_message |= text.starts_with("354");
        }
        self.see(&Seen::Reply(text)).map(|_| ())
    }
}
