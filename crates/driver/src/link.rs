//! A session with the TLS around it and the body behind it: bytes of a socket in, bytes for the socket out.

use std::time::Instant;
use std::{fmt, mem};

use ehlo_client::codec::{BodyType, ReplyView};
use ehlo_client::{BodyError, BodyWriter, Event, LineEndings, Reason, Session, Stage, TlsInfo, Transfer};
use ehlo_sasl::ChannelBindings;

use crate::tls::{Layer, Trust};

/// What goes over a connection, for whoever wants to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Observed<'a> {
    /// These commands were handed to the connection. What would be credentials is `****`.
    Sent(&'a [u8]),
    /// A reply came.
    Reply(Stage, ReplyView<'a>),
    /// TLS was established.
    Tls(TlsInfo),
    /// A body was written, so many bytes as they go over the wire; the end that DATA has is [`Sent`](Self::Sent).
    Body(u64),
}

/// Told of what goes over a connection.
pub type Observer = Box<dyn FnMut(Observed<'_>) + Send>;

/// A session with the TLS around it and the body behind it. It does no I/O: its driver moves bytes between it and a socket.
pub struct Link {
    session: Session,
    tls: Option<Box<Layer>>,
    trust: Option<Trust>,
    /// The name that the server is verified by.
    host: String,
    /// What came, in clear, and how much of it was handled.
    input: Vec<u8>,
    start: usize,
    body: BodyWriter,
    /// The body is the session's next output.
    in_body: bool,
    closed: Option<ehlo_client::CloseReason>,
    tls_error: Option<String>,
    observer: Option<Observer>,
    /// The socket's end came; it is told when all that came before was handled.
    eof: bool,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("host", &self.host).field("session", &self.session).finish_non_exhaustive()
    }
}

impl Link {
    /// A link over a connection that has just been made, to a server that is called so. With `implicit` TLS is begun at once.
    ///
    /// # Errors
    ///
    /// A text, if TLS can't begin: the host's name is none that a server could be verified by.
    pub fn new(
        session: Session,
        host: &str,
        trust: Option<Trust>,
        implicit: bool,
        observer: Option<Observer>,
    ) -> Result<Self, String> {
        let mut link = Self {
            session,
            tls: None,
            trust,
            host: host.to_owned(),
            input: Vec::new(),
            start: 0,
            body: BodyWriter::new(Transfer::Dots, BodyType::SevenBit, None, LineEndings::Refuse),
            in_body: false,
            closed: None,
            tls_error: None,
            observer,
            eof: false,
        };
        if implicit {
            link.begin_tls()?;
        }
        Ok(link)
    }

    fn begin_tls(&mut self) -> Result<(), String> {
        let trust = self.trust.as_ref().ok_or("TLS is wanted, and nobody was named to trust")?;
        self.tls = Some(Box::new(Layer::new(trust, &self.host)?));
        Ok(())
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// The session, to do something with it.
    pub const fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The name that the server is verified by.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Why the session ended, if it has.
    #[must_use]
    pub const fn closed(&self) -> Option<ehlo_client::CloseReason> {
        self.closed
    }

    /// What was wrong with TLS, if that ended the session.
    #[must_use]
    pub fn tls_error(&self) -> Option<&str> {
        self.tls_error.as_deref()
    }

    /// The server's certificate, in DER, inside TLS.
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8]> {
        self.tls.as_ref().and_then(|tls| tls.certificate())
    }

    /// What an authentication can bind itself to.
    pub(crate) fn bindings(&self) -> ChannelBindings {
        self.tls.as_ref().map_or_else(ChannelBindings::none, |tls| tls.bindings())
    }

    /// Bytes came from the socket; none is its end.
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) {
        if bytes.is_empty() {
            return self.end();
        }
        if self.start == self.input.len() {
            self.input.clear();
            self.start = 0;
        }
        let Some(tls) = &mut self.tls else {
            return self.input.extend_from_slice(bytes);
        };
        match tls.receive(bytes, &mut self.input) {
            Ok(closed) => {
                if let Some(info) = tls.finished() {
                    self.tell(Observed::Tls(info));
                    if self.session.handle_tls(now, info).is_err() {
                        self.fail_tls(now, "a handshake out of place".to_owned());
                    }
                }
                if closed {
                    self.end();
                }
            }
            Err(error) => self.fail_tls(now, error),
        }
    }

    /// The connection has ended, or is broken: nothing more will come.
    pub fn end(&mut self) {
        self.eof = true;
    }

    fn fail_tls(&mut self, now: Instant, error: String) {
        self.tls_error.get_or_insert(error);
        // Within the handshake that is what ended the session; behind it the connection is simply lost.
        if self.session.tls().is_none() {
            self.session.tls_failed(now);
        } else {
            self.end();
        }
    }

    /// The next thing that happened and needs no more bytes. The session's reply is that of the event until the next call.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        loop {
            let mut event = self.session.poll_event();
            while event.is_none() && self.start < self.input.len() {
                let step = self.session.handle_input(now, &self.input[self.start..]);
                self.start += step.used;
                event = step.event;
                if step.used == 0 && event.is_none() {
                    break;
                }
            }
            if event.is_none() && self.eof && self.start == self.input.len() {
                self.eof = false;
                self.session.handle_eof(now);
                event = self.session.poll_event();
            }
            let event = event?;
            match event {
                Event::Reply(stage, _) => {
                    if let (Some(observer), Some(reply)) = (&mut self.observer, self.session.reply()) {
                        observer(Observed::Reply(stage, reply));
                    }
                }
                // What else came in clear is for the session, which ends by it; so the handshake begins only if there is none.
                Event::TlsWanted if self.start == self.input.len() => {
                    if let Err(error) = self.begin_tls() {
                        self.fail_tls(now, error);
                    }
                    continue;
                }
                Event::TlsWanted => continue,
                Event::Done(..) => self.in_body &= self.session.wants_body(),
                Event::Closed(reason) => {
                    self.closed = Some(reason);
                    self.in_body = false;
                }
                _ => {}
            }
            return Some(event);
        }
    }

    /// When [`timeout`](Self::timeout) is to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<(Instant, Reason)> {
        self.session.poll_timeout()
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    /// The body that the session wants is of that kind and length; [`put`](Self::put) brings its pieces.
    pub fn begin_body(&mut self, transfer: Transfer, kind: BodyType, declared: Option<u64>, endings: LineEndings) {
        self.body.restart(transfer, kind, declared, endings);
        self.in_body = true;
    }

    /// The body that has just begun was looked through as a whole, and needs no other look.
    pub const fn trust_body(&mut self) {
        self.body.trust();
    }

    /// Whether another piece of the body is wanted.
    #[must_use]
    pub const fn wants_piece(&self) -> bool {
        self.in_body && self.body.wants_more()
    }

    /// Whether a body is being written.
    #[must_use]
    pub const fn is_in_body(&self) -> bool {
        self.in_body
    }

    /// Takes a piece of the body, or its front; gives how much.
    ///
    /// # Errors
    ///
    /// [`BodyError`] if it can't be sent; [abandon](Session::abandon) the session then.
    pub fn put(&mut self, now: Instant, piece: &[u8]) -> Result<usize, BodyError> {
        let taken = self.body.put(piece)?;
        self.advance(now);
        Ok(taken)
    }

    /// The body has no more pieces.
    ///
    /// # Errors
    ///
    /// [`BodyError`] if it can't end here.
    pub fn end_body(&mut self, now: Instant) -> Result<(), BodyError> {
        self.body.end()?;
        self.advance(now);
        Ok(())
    }

    fn advance(&mut self, now: Instant) {
        if !self.in_body {
            return;
        }
        // The session ends bodies that it does not want any more by itself.
        if self.body.advance(&mut self.session, now).unwrap_or(true) {
            self.in_body = false;
            let written = self.body.written();
            self.tell(Observed::Body(written));
        }
    }

    fn tell(&mut self, observed: Observed<'_>) {
        if let Some(observer) = &mut self.observer {
            observer(observed);
        }
    }

    /// What is to be written to the socket now, in two parts.
    pub fn output(&mut self, now: Instant) -> [&[u8]; 2] {
        // A chunk may wait for the reply to one before it.
        self.advance(now);
        if self.tls.is_some() {
            self.fill(now);
        }
        match &self.tls {
            Some(tls) => [tls.records(), &[]],
            None => [self.session.output(), if self.in_body { self.body.wire() } else { &[] }],
        }
    }

    /// Puts what is to be said into records.
    fn fill(&mut self, now: Instant) {
        loop {
            let Some(tls) = &mut self.tls else { return };
            let commands = self.session.output();
            if !commands.is_empty() {
                let taken = tls.send(commands);
                if taken == 0 {
                    return;
                }
                self.commands_sent(now, taken);
                continue;
            }
            let wire = if self.in_body { self.body.wire() } else { &[] };
            let taken = if wire.is_empty() { 0 } else { tls.send(wire) };
            if taken == 0 {
                return;
            }
            self.body_sent(now, taken);
        }
    }

    /// The first `n` bytes of [`output`](Self::output) were written.
    pub fn sent(&mut self, now: Instant, n: usize) {
        if let Some(tls) = &mut self.tls {
            tls.sent(n);
            if self.in_body {
                self.session.body_progress(now);
            }
            return;
        }
        let commands = n.min(self.session.output().len());
        if commands > 0 {
            self.commands_sent(now, commands);
        }
        if n > commands {
            self.body_sent(now, n - commands);
        }
    }

    fn commands_sent(&mut self, now: Instant, n: usize) {
        if let Some(observer) = &mut self.observer {
            let sent = &self.session.output()[..n];
            if self.session.is_secret() {
                observer(Observed::Sent(&masked(sent)));
            } else {
                observer(Observed::Sent(sent));
            }
        }
        self.session.output_sent(now, n);
        // An empty chunk ends with its command.
        self.advance(now);
    }

    fn body_sent(&mut self, now: Instant, n: usize) {
        self.body.sent(n);
        self.session.body_progress(now);
        self.advance(now);
    }

    /// Ends TLS, behind the session's end. What [`output`](Self::output) then has may be written, or not.
    pub fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close();
        }
    }

    /// Replaces what watches the connection.
    pub fn observe(&mut self, observer: Option<Observer>) -> Option<Observer> {
        mem::replace(&mut self.observer, observer)
    }
}

/// The line of an AUTH exchange, without what it proves. The mechanism is nobody's secret.
fn masked(sent: &[u8]) -> Vec<u8> {
    let words: Vec<&[u8]> = sent.trim_ascii_end().splitn(3, |byte| *byte == b' ').collect();
    match words[..] {
        [verb, mechanism] if verb == b"AUTH" => [b"AUTH ", mechanism, b"\r\n"].concat(),
        [verb, mechanism, _] if verb == b"AUTH" => [b"AUTH ", mechanism, b" ****\r\n"].concat(),
        [b"*"] => b"*\r\n".to_vec(),
        _ => b"****\r\n".to_vec(),
    }
}
