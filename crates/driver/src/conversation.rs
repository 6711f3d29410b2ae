//! How a message is sent, whatever moves the bytes.

mod batch;
mod pieces;

use std::io;

use ehlo_client::codec::BodyType;
use ehlo_client::{
    BeginError, BodyError, CloseReason, Envelope, Event, Job, LineEndings, Next, Prepared, Report, Stage, TransactionId,
};

use crate::error::SendError;
use crate::link::Link;
use crate::login::{Login, LoginError};
use crate::wire::{Body, Bytes, Wire};

/// A session over a connection that has greeted, or is about to.
#[derive(Debug)]
pub struct Conversation<W> {
    link: Link,
    wire: W,
    /// What the server said when it refused the session.
    words: Option<String>,
    /// The message whose body comes by `write`.
    writing: Option<TransactionId>,
}

impl<W: Wire> Conversation<W> {
    /// Takes the greeting, says EHLO, and makes TLS as the session's configuration wants it.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the session ends there.
    pub async fn begin(link: Link, wire: W) -> Result<Self, SendError> {
        let mut conversation = Self { link, wire, words: None, writing: None };
        match conversation.until(|event| matches!(event, Event::Ready)).await {
            Ok(_) => {
                conversation.words = None;
                Ok(conversation)
            }
            Err(reason) => {
                // An alert may wait that tells the server why.
                conversation.wire.exchange(&mut conversation.link).await;
                Err(conversation.ended(reason))
            }
        }
    }

    fn ended(&mut self, reason: CloseReason) -> SendError {
        match (reason, self.link.tls_error(), self.words.take()) {
            // Under TLS 1.3 the server refuses the client's certificate when the handshake is over for the client.
            (CloseReason::TlsFailed | CloseReason::Eof, Some(error), _) => SendError::Tls(error.to_owned()),
            (
                CloseReason::Refused(_) | CloseReason::TlsNotAvailable(Some(_)) | CloseReason::ServiceNotAvailable,
                _,
                Some(words),
            ) => SendError::Refused(reason, words),
            _ => SendError::Closed(reason),
        }
    }

    /// The link.
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// The link, to do something with it.
    pub const fn link_mut(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Both, for a driver that has something of its own to do.
    pub const fn parts_mut(&mut self) -> (&mut Link, &mut W) {
        (&mut self.link, &mut self.wire)
    }

    /// What moves the bytes.
    pub const fn wire(&self) -> &W {
        &self.wire
    }

    /// Logs in.
    ///
    /// # Errors
    ///
    /// [`SendError::Login`] if it fails; the session goes on without, unless the server could not prove that it knows the password: then it is
    /// ended.
    pub async fn login(&mut self, login: &Login) -> Result<(), SendError> {
        let (bindings, host) = (self.link.bindings(), self.link.host().to_owned());
        let now = self.wire.now();
        let mut exchange =
            login.begin(self.link.session_mut(), now, bindings, Some(&host)).map_err(SendError::Login)?;
        loop {
            while let Some(event) = self.event() {
                if let Event::Closed(reason) = event {
                    return Err(self.ended(reason));
                }
                let now = self.wire.now();
                match exchange.on_event(self.link.session_mut(), now, &event) {
                    None => {}
                    Some(Ok(())) => return Ok(()),
                    Some(Err(error)) => {
                        if matches!(error, LoginError::Exchange(_)) && self.link.session().is_authenticated() {
                            // Somebody else may be answering.
                            self.link.session_mut().abandon(now);
                            while self.event().is_some() {}
                        }
                        return Err(SendError::Login(error));
                    }
                }
            }
            self.wire.exchange(&mut self.link).await;
        }
    }

    /// Sends a message to all recipients of its envelope, whose kind of body it has. It is set back to its beginning before each transaction; where
    /// there are several and that is not possible, those who are left stay unsent.
    ///
    /// # Errors
    ///
    /// [`SendError`] if nothing was begun, or the body can't be sent to its end. [`SendError::Read`] as well if the body was read before and
    /// can't be set back.
    pub async fn send(
        &mut self,
        envelope: Envelope<'_>,
        body: &mut (impl Body + Send),
        endings: LineEndings,
    ) -> Result<Report, SendError> {
        self.ensure_open()?;
        if !self.link.session().is_ready() {
            return Err(SendError::Begin(BeginError::NotReady));
        }
        let mut job = Job::new(envelope);
        let mut again = false;
        loop {
            match body.rewind().await {
                Ok(true) => {}
                Ok(false) if again => return Ok(job.into_report()),
                Ok(false) => {
                    let text = "it was read before, and can't be set back to its beginning";
                    return Err(SendError::Read(io::Error::other(text), Box::new(job.into_report())));
                }
                // Between two messages: the connection is in order.
                Err(error) => return Err(SendError::Read(error, Box::new(job.into_report()))),
            }
            let now = self.wire.now();
            match job.begin(self.link.session_mut(), now) {
                Ok(Next::Begun(_)) => {}
                Ok(Next::Over | Next::Elsewhere) => return Ok(job.into_report()),
                Err(_) if again => return Ok(job.into_report()),
                Err(error) => return Err(SendError::Begin(error)),
            }
            again = true;
            match self.transact(&mut job, body, endings).await {
                Ok(()) => {}
                Err(Failure::Body(error)) => return Err(SendError::Body(error, Box::new(self.give_up(job)))),
                Err(Failure::Read(error)) => return Err(SendError::Read(error, Box::new(self.give_up(job)))),
            }
            if job.is_over() || self.link.closed().is_some() {
                return Ok(job.into_report());
            }
        }
    }

    /// Sends a text in memory: of the kind that it has, whose lines may be changed or not.
    ///
    /// # Errors
    ///
    /// [`SendError`] if nothing was begun: [`SendError::LineEnding`] for a CR or LF that stands alone and is not to be changed.
    pub async fn send_text(
        &mut self,
        envelope: &Envelope<'_>,
        text: &[u8],
        endings: LineEndings,
    ) -> Result<Report, SendError> {
        let (envelope, prepared) = prepare(envelope, text, endings)?;
        self.send(envelope, &mut Bytes::prepared(&prepared.octets), LineEndings::Refuse).await
    }

    /// Sends a message that is read meanwhile, as long as it says or as the envelope does. Its kind is what the envelope says.
    ///
    /// # Errors
    ///
    /// As those of [`send`](Self::send).
    pub async fn send_body(
        &mut self,
        envelope: &Envelope<'_>,
        body: &mut (impl Body + Send),
        endings: LineEndings,
    ) -> Result<Report, SendError> {
        let mut envelope = *envelope;
        envelope.size = match endings {
            LineEndings::Refuse => envelope.size.or(body.size()),
            // How long it will be, nobody knows.
            LineEndings::Normalize => None,
        };
        self.send(envelope, body, endings).await
    }

    fn give_up(&mut self, mut job: Job<'_>) -> Report {
        let now = self.wire.now();
        self.link.session_mut().abandon(now);
        while let Some(event) = self.event() {
            job.on_event(self.link.session(), &event);
        }
        job.into_report()
    }

    /// Goes through the transaction that was begun.
    async fn transact(
        &mut self,
        job: &mut Job<'_>,
        body: &mut (impl Body + Send),
        endings: LineEndings,
    ) -> Result<(), Failure> {
        let kind = job.envelope().body;
        let declared = body.size();
        let mut octets = 0;
        let mut read = false;
        loop {
            let mut over = false;
            while let Some(event) = self.event() {
                over |= job.on_event(self.link.session(), &event);
                if let Event::BodyWanted(_, transfer) = event {
                    self.link.begin_body(transfer, kind, job.envelope().size, endings);
                    if body.is_prepared() && endings == LineEndings::Refuse {
                        self.link.trust_body();
                    }
                    (read, octets) = (false, 0);
                }
            }
            if over || self.link.closed().is_some() {
                return Ok(());
            }
            while self.link.wants_piece() && !read {
                let piece = body.fill().await.map_err(Failure::Read)?;
                let now = self.wire.now();
                if piece.is_empty() {
                    // A file that was cut off meanwhile is not to be taken for a whole message.
                    if let Some(declared) = declared.filter(|declared| *declared != octets) {
                        return Err(Failure::Body(BodyError::Length { declared }));
                    }
                    self.link.end_body(now).map_err(Failure::Body)?;
                    read = true;
                } else {
                    let taken = self.link.put(now, piece).map_err(Failure::Body)?;
                    octets += taken as u64;
                    body.consume(taken);
                }
            }
            self.wire.exchange(&mut self.link).await;
        }
    }

    /// Says QUIT, and waits for the reply. A message that waits for the rest of its body is given up: nobody would bring it.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection ended another way. No message that is over is affected by that.
    pub async fn quit(&mut self) -> Result<(), SendError> {
        let now = self.wire.now();
        if self.link.is_in_body() {
            self.link.session_mut().abandon(now);
        } else {
            self.link.session_mut().quit(now);
        }
        loop {
            match self.until(|event| matches!(event, Event::BodyWanted(..))).await {
                Ok(_) => self.link.session_mut().abandon(now),
                Err(CloseReason::Quit) => break,
                Err(reason) => return Err(SendError::Closed(reason)),
            }
        }
        self.link.close();
        // That TLS ends as well is said if the socket takes it.
        self.wire.exchange(&mut self.link).await;
        Ok(())
    }

    /// Makes sure that the session still stands. What came while nobody looked is taken note of, of the bytes that were read.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if not.
    pub fn ensure_open(&mut self) -> Result<(), SendError> {
        while self.event().is_some() {}
        match self.link.closed() {
            Some(reason) => Err(SendError::Closed(reason)),
            None => Ok(()),
        }
    }

    /// Drives the session to an event of that kind, or to its end.
    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<Event, CloseReason> {
        loop {
            while let Some(event) = self.event() {
                if wanted(&event) {
                    return Ok(event);
                }
            }
            if let Some(reason) = self.link.closed() {
                return Err(reason);
            }
            self.wire.exchange(&mut self.link).await;
        }
    }

    fn event(&mut self) -> Option<Event> {
        let event = self.link.poll_event(self.wire.now());
        if let Some(Event::Done(id, _)) = event
            && self.writing == Some(id)
        {
            self.writing = None;
        }
        if let Some(Event::Reply(stage, code)) = event
            && matches!(
                stage,
                Stage::Greeting | Stage::Ehlo | Stage::Helo | Stage::Lhlo | Stage::StartTls | Stage::Auth
            )
        {
            let refused = !code.is_positive();
            self.words = self.link.session().reply().filter(|_| refused).map(|reply| reply.to_string());
        }
        event
    }
}

enum Failure {
    Body(BodyError),
    Read(io::Error),
}

/// A text in memory with its envelope: of the kind that it has, and as long as it is.
///
/// # Errors
///
/// [`SendError::LineEnding`] for a CR or LF that stands alone, unless it may be changed.
pub fn prepare<'e, 'b>(
    envelope: &Envelope<'e>,
    text: &'b [u8],
    endings: LineEndings,
) -> Result<(Envelope<'e>, Prepared<'b>), SendError> {
    let mut envelope = *envelope;
    let prepared = if envelope.body == BodyType::BinaryMime {
        Prepared { octets: text.into(), kind: BodyType::BinaryMime }
    } else {
        Prepared::text(text, endings).map_err(SendError::LineEnding)?
    };
    if envelope.body == BodyType::SevenBit {
        envelope.body = prepared.kind;
    }
    envelope.size = Some(prepared.octets.len() as u64);
    Ok((envelope, prepared))
}
