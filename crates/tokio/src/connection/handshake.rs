//! The TLS handshake of a connection.

use std::task::{Context, Poll, ready};

use super::seen::tell;
use super::{Connection, clock};
use crate::log::shown;
use crate::metrics::Count;
use crate::policy::Policy;
use crate::transport::HandshakeError;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// There is none to be done.
    None,
    /// The session has asked for it. It begins when all output is written.
    Asked,
    /// It is under way.
    Running,
}

impl<P: Policy> Connection<P> {
    /// Goes on with the handshake; ready when the session was told how it went. Its time is the session's deadline.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let result = ready!(self.poll_tls(cx));
        self.handshake = Handshake::None;
        let now = clock();
        match result {
            Ok(info) => {
                self.slot.metrics().one(Count::Handshakes);
                tell!(
                    self,
                    DEBUG,
                    version = info.version,
                    cipher = info.cipher,
                    server_name = info.server_name.as_deref().map(shown).as_deref(),
                    client =
                        info.client.as_ref().map(|client| shown(client.subject.as_deref().unwrap_or("?"))).as_deref(),
                    "inside TLS"
                );
                self.session.handle_tls(now, info);
            }
            Err(error) => {
                self.slot.metrics().one(Count::FailedHandshakes);
                tell!(self, DEBUG, %error, "TLS handshake failed");
                match error {
                    HandshakeError::Finished => {
                        self.eof = true;
                        self.session.handle_eof(now);
                    }
                    HandshakeError::Gone => {
                        self.eof = true;
                        self.session.handle_reset(now);
                    }
                    HandshakeError::Tls(_) | HandshakeError::NotBegun => self.session.handle_tls_failed(now),
                }
            }
        }
        Poll::Ready(())
    }

    fn poll_tls(&mut self, cx: &mut Context<'_>) -> Poll<Result<ehlo_server::TlsInfo, HandshakeError>> {
        if self.handshake == Handshake::Asked {
            // A server without certificates offers no STARTTLS and has no listener for TLS.
            let Some(tls) = &self.tls else { return Poll::Ready(Err(HandshakeError::NotBegun)) };
            self.transport.start_tls(tls.current())?;
            self.handshake = Handshake::Running;
        }
        self.transport.poll_handshake(cx)
    }
}
