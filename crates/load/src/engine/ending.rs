//! How a connection's end is counted, and how it is told.

use super::conn::{Conn, Link};
use crate::ErrorKind;
use ehlo_client::{CloseReason, Reason, Stage};
use std::io;
use std::time::Duration;

impl Conn {
    /// What its end is counted as, and how it is told. `None` if it ended as it should.
    pub(super) fn verdict(
        &mut self,
        reason: CloseReason,
        patience: impl Fn(Reason) -> Duration,
    ) -> Option<(ErrorKind, String)> {
        let words = self.words.take().unwrap_or_default();
        let timed_out = |kind, reason| {
            let waited = patience(reason).as_secs_f64();
            (kind, format!("the server did nothing for {waited} s: {reason}"))
        };
        Some(match reason {
            CloseReason::Quit => return None,
            CloseReason::Refused(code) => {
                let words = if words.is_empty() { code.to_string() } else { words };
                (ErrorKind::SessionRefused, format!("the server refused the session: \"{words}\""))
            }
            CloseReason::ServiceNotAvailable => {
                let words = if words.is_empty() { "421".to_owned() } else { words };
                (ErrorKind::ServiceNotAvailable, format!("the server closed the session: \"{words}\""))
            }
            CloseReason::Eof => return Some(self.lost()),
            CloseReason::TimedOut(reason) => timed_out(timeout_kind(reason), reason),
            CloseReason::PeerMisbehaved(what) => (
                ErrorKind::NotSmtp,
                if words.is_empty() {
                    format!("the server broke the protocol: {what}")
                } else {
                    format!("the server broke the protocol: {what}: \"{words}\"")
                },
            ),
            _ => (ErrorKind::Io, reason.to_string()),
        })
    }

    fn lost(&mut self) -> (ErrorKind, String) {
        let mid_transaction = self.mid_transaction();
        let when = match () {
            () if !self.greeted => "before it was ready for mail",
            () if mid_transaction => "while a message was under way",
            () => "while no message was under way",
        };
        if let Some(error) = self.broken.take() {
            let reset = matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
            let kind = if reset { ErrorKind::Reset } else { ErrorKind::Io };
            return (kind, format!("the connection broke {when}: {error}"));
        }
        let kind = match () {
            () if !self.greeted => ErrorKind::ClosedBeforeGreeting,
            () if mid_transaction => ErrorKind::ClosedMidTransaction,
            () => ErrorKind::Closed,
        };
        (kind, format!("the server closed the connection {when}"))
    }

    /// Whether the end came within a transaction: it was begun, and no reply settled it.
    fn mid_transaction(&self) -> bool {
        let Link::Open { session, .. } = &self.link else { return false };
        self.mail_sent.is_some()
            && session.recipients(session.latest()).iter().any(|r| {
                use ehlo_client::RecipientOutcome::{Pending, Unknown, Unsent};
                matches!(r, Pending | Unknown | Unsent)
            })
    }
}

const fn timeout_kind(reason: Reason) -> ErrorKind {
    match reason {
        Reason::Reply(Stage::Greeting) => ErrorKind::GreetingTimeout,
        Reason::Reply(Stage::Ehlo | Stage::Helo) => ErrorKind::EhloTimeout,
        Reason::Reply(Stage::Mail) => ErrorKind::MailTimeout,
        Reason::Reply(Stage::Rcpt(_)) => ErrorKind::RcptTimeout,
        Reason::Reply(Stage::Data) => ErrorKind::DataTimeout,
        Reason::Reply(Stage::Body) => ErrorKind::EndOfDataTimeout,
        Reason::BodyBlock => ErrorKind::BlockTimeout,
        _ => ErrorKind::QuitTimeout,
    }
}
