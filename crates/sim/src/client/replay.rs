//! The same run again, with the server's bytes cut in another way: it must be the same run.

use super::Client;
use crate::server::{Cut, same_said};
use std::time::Instant;

/// One thing that is done to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Bytes of the server.
    Input(Vec<u8>),
    /// So many bytes were written, of the session's or of a body.
    Sent(usize),
    /// The next transaction is begun.
    Work,
    /// The session is to end.
    Quit,
    /// Time has passed.
    Timeout,
    /// The server has closed its side.
    Eof,
    /// The handshake is made, with a server that was verified or not, or has failed.
    Tls(Option<bool>),
    /// The session is given up.
    Abandon,
}

/// Does to a new session what was done to a [recorded](Client::recorded) one, with the input cut in another way.
///
/// # Panics
///
/// If anything is different: an event, or what was sent. Then the session depends on how its bytes were cut.
pub fn replay(client: &Client, mut cut: Cut) {
    let mut again =
        Client::new(client.start, std::sync::Arc::clone(&client.config), client.habits.clone(), client.mail.clone());
    for (now, op) in client.ops.as_deref().expect("the run was recorded") {
        again.apply(*now, op, &mut cut);
    }
    same_said(&again.said, &client.said, &cut);
    assert_eq!(again.digest, client.digest, "{cut:?}: commands");
}

impl Client {
    fn apply(&mut self, now: Instant, op: &Op, cut: &mut Cut) {
        match op {
            Op::Input(bytes) => {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(cut.next(rest.len()));
                    self.hear(now, piece);
                    rest = after;
                }
            }
            Op::Sent(n) => assert_eq!(self.send(now, *n).len(), *n, "there was more to send"),
            Op::Work => self.work(now),
            Op::Quit => self.quit(now),
            Op::Timeout => self.timeout(now),
            Op::Eof => self.eof(now),
            Op::Tls(verified) => self.handshaken(now, *verified),
            Op::Abandon => self.abandon(now),
        }
    }
}
