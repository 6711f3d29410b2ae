//! The same run again, with its bytes cut in another way: it must be the same run.

use super::{Given, Handshake, How, Server};
use crate::rng::Rng;
use ehlo_server::{Peer, Shutdown};
use std::time::Instant;

/// One thing that is done to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Bytes of the peer, all of which the session used.
    Input(Vec<u8>),
    /// Bytes in clear behind STARTTLS.
    Surplus(Vec<u8>),
    /// So many bytes of the output were written.
    Sent(usize),
    /// Time has passed.
    Timeout,
    /// An answer to a question.
    Answer(u32, How),
    /// The open question is lost.
    Abandon,
    /// The peer has closed its side.
    Eof,
    /// The connection is broken.
    Reset,
    /// The server shuts down.
    Shutdown(Shutdown),
    /// The server is nearly full.
    Stress,
    /// The sink takes no more.
    Pause,
    /// The same, right behind a piece: the session has not seen whether the message, or the chunk, ends there.
    PauseBehind,
    /// The sink takes more.
    Resume,
    /// The sink has failed.
    Fail,
    /// The handshake is over, or TLS is broken.
    Handshaken(Handshake),
    /// The driver can do handshakes, or cannot.
    TlsAvailable(bool),
}

/// How input is cut.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cut {
    /// All that came between two other things at once.
    Whole,
    /// Byte by byte.
    Bytes,
    /// As chance has it.
    Random(Rng),
}

impl Cut {
    /// How many of so many bytes are given next.
    pub(crate) fn next(&mut self, most: usize) -> usize {
        match self {
            Self::Whole => most,
            Self::Bytes => 1,
            Self::Random(rng) => rng.portion(most),
        }
    }
}

/// Does to a new session what was done to a [recorded](Server::recorded) one, with the input cut in another way.
///
/// # Panics
///
/// If anything is different: an event, a reply, or what was used. Then the session depends on how its bytes were cut.
pub fn replay(server: &Server, peer: Peer, mut cut: Cut) {
    let mut again = Server::new(server.start, std::sync::Arc::clone(&server.config), peer);
    let ops = server.ops.as_deref().expect("the run was recorded");
    for (at, (now, op)) in ops.iter().enumerate() {
        let stops = matches!(ops.get(at + 1), Some((_, Op::PauseBehind)));
        match op {
            Op::Input(bytes) => again.give_cut(*now, bytes, stops, &mut cut),
            op => again.apply(*now, op),
        }
    }
    same_said(&again.said, &server.said, &cut);
    assert_eq!((again.produced, again.digest), (server.produced, server.digest), "{cut:?}: replies");
    assert_eq!(again.commands, server.commands, "{cut:?}: commands");
    assert!(again.store == server.store, "{cut:?}: the store");
}

/// Names the first thing that is not the same.
pub(crate) fn same_said(again: &[String], before: &[String], cut: &Cut) {
    let at = again.iter().zip(before).take_while(|(one, other)| one == other).count();
    assert_eq!(again.get(at), before.get(at), "{cut:?}: event {at}, behind {:?}", before[..at].last());
}

impl Server {
    /// Does one thing.
    fn apply(&mut self, now: Instant, op: &Op) {
        match op {
            Op::Input(bytes) => self.give_cut(now, bytes, false, &mut Cut::Whole),
            Op::Surplus(bytes) => while !matches!(self.give(now, bytes), (_, Given::Nothing)) {},
            Op::Sent(n) => {
                assert!(self.session.output().len() >= *n, "there was more to send");
                self.send(now, *n);
            }
            Op::Timeout => self.timeout(now),
            Op::Answer(serial, how) => {
                let _ = self.answer(now, *serial, *how).expect("the question was asked");
            }
            Op::Abandon => self.abandon(now, self.asked),
            Op::Eof => self.eof(now),
            Op::Reset => self.reset(now),
            Op::Shutdown(how) => self.shutdown(now, *how),
            Op::Stress => self.stress(now),
            Op::Pause | Op::PauseBehind => self.pause(now),
            Op::Resume => self.resume(now),
            Op::Fail => self.fail_body(now),
            Op::Handshaken(how) => self.handshaken(now, *how),
            Op::TlsAvailable(available) => self.set_tls_available(now, *available),
        }
        self.settle(now);
    }

    fn give_cut(&mut self, now: Instant, bytes: &[u8], stops: bool, cut: &mut Cut) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (mut piece, after) = rest.split_at(cut.next(rest.len()));
            loop {
                let (used, given) = self.give(now, piece);
                piece = &piece[used..];
                if stops && piece.is_empty() && after.is_empty() && matches!(given, Given::Piece) {
                    return self.drain(now);
                }
                if matches!(given, Given::Nothing) {
                    break;
                }
            }
            self.settle(now);
            // A session that gives the peer up may do so in the middle of what another one had been given at once.
            let over = !self.session.wants_input() && self.session.pending() == ehlo_server::Pending::Nothing;
            assert!(piece.is_empty() || over, "{} bytes were used and are not any more", piece.len());
            if over && !piece.is_empty() {
                return;
            }
            rest = after;
        }
    }
}
