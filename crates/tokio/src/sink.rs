//! Where the bytes of a message go while they come in.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use ehlo_server::codec::Reply;
use ehlo_server::{EnvelopeView, Protocol, RecipientAnswer, TlsInfo};

use crate::notes::Notes;

/// The message that is about to come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MessageContext<'a> {
    /// Who sends it.
    pub peer: SocketAddr,
    /// The name of this server, as in its greeting.
    pub hostname: &'a str,
    /// Sender, recipients and parameters.
    pub envelope: EnvelopeView<'a>,
    /// The TLS that it comes through.
    pub tls: Option<&'a TlsInfo>,
    /// SMTP, or LMTP.
    pub protocol: Protocol,
    /// What the policy remembers of this connection.
    pub notes: &'a Notes,
}

/// What became of a message that was handed over whole.
#[derive(Debug)]
#[non_exhaustive]
pub enum Commit {
    /// The same for all recipients, as [`BodySink::poll_commit`] gives it.
    Same(Result<Option<Reply>, Reply>),
    /// An answer for each recipient, in the order of the envelope. One that is missing is 451 4.3.0: that recipient's copy was not taken.
    Each(Vec<RecipientAnswer>),
}

/// Takes the body of one message after another on one connection.
///
/// The calls for a message are one [`begin`](Self::begin), any number of [`poll_write`](Self::poll_write), and one
/// [`poll_commit`](Self::poll_commit) that is polled until it is ready; or [`abort`](Self::abort) in between, which ends the message
/// without a trace. A sink that is dropped after `begin` and before its commit was ready has to do what `abort` does.
///
/// The methods are called from the connection's task and must not block it: hand what blocks to another thread and return
/// [`Poll::Pending`]. That is also how a sink slows its peer down. While it is pending nothing is read from the connection, beyond the
/// one read that was under way, and TCP makes the peer wait.
pub trait BodySink: Send + 'static {
    /// A message is about to come. It is called before the reply to DATA is written, or when its first chunk is announced by BDAT.
    ///
    /// # Errors
    ///
    /// The reply with which DATA is answered instead of 354, or the chunk behind its end: of class 4yz or 5yz.
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply>;

    /// Takes decoded body bytes (dot-stuffing removed, line ends as sent unless they are
    /// [normalized](ehlo_server::BareLineEnds::Normalize)); gives how many, and at least one unless `bytes` is empty.
    ///
    /// A sink copies what it needs: the slice is gone when the call returns. After `Pending` the same bytes come again.
    ///
    /// # Errors
    ///
    /// The message can't be stored. The sink is aborted, the rest of the body or chunk is read and thrown away, and the reply after its end is
    /// 452 4.3.1 for [`StorageFull`](io::ErrorKind::StorageFull) and [`QuotaExceeded`](io::ErrorKind::QuotaExceeded), and
    /// 451 4.3.0 for everything else.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// The whole message was handed over: store it for good. Being ready with `Ok` means that this server is responsible for the
    /// message from now on (RFC 5321 §6.1); the reply 250 follows at once, with the text of the given reply if there is one.
    ///
    /// # Errors
    ///
    /// The reply with which the message is refused (5yz) or deferred (4yz). Nothing of it may then remain.
    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>>;

    /// As [`poll_commit`](Self::poll_commit), which it calls unless it is overridden, where LMTP is spoken: each recipient may get an answer
    /// of its own (RFC 2033 §4.2), for a sink that delivers to each apart.
    fn poll_commit_each(&mut self, cx: &mut Context<'_>) -> Poll<Commit> {
        self.poll_commit(cx).map(Commit::Same)
    }

    /// The message that was begun won't come to its end, or is refused: forget it. It may be called while a commit is pending, which
    /// then either takes place whole or not at all.
    fn abort(&mut self);
}

/// How a failed store is told to the client.
pub(crate) fn storage_reply(error: &io::Error) -> Reply {
    const FULL: Reply = Reply::fixed(452, Some((4, 3, 1)), "Insufficient system storage");
    const FAILED: Reply = Reply::fixed(451, Some((4, 3, 0)), "The message could not be stored; try again later");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FULL,
        _ => FAILED,
    }
}
