//! A driver of the server session, with a store.

use crate::dialogue::Dialogue;
use crate::plan::Weather;
use crate::rng::Rng;
use ehlo_server::{AbortReason, CloseReason, Config, Event, Pending, Question, ResolveError, Session};
use std::sync::Arc;
use std::time::Instant;

/// A message that is safe.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) body: Vec<u8>,
}

/// A question on its way to the application.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) serial: u64,
    pub(crate) question: Question,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) session: Session,
    pub(crate) config: Arc<Config>,
    pub(crate) dialogue: Dialogue,
    /// What was read and not used.
    pub(crate) carry: Vec<u8>,
    /// How much the session has put out, written or not.
    produced: usize,
    written: usize,
    /// The message that is coming.
    incoming: Option<Vec<u8>>,
    pub(crate) store: Vec<Stored>,
    pub(crate) aborted: Vec<AbortReason>,
    serial: u64,
    pub(crate) resume_at: Option<Instant>,
    pub(crate) read_at: Instant,
    pub(crate) write_at: Instant,
    pub(crate) closed: Option<CloseReason>,
    pub(crate) end_told: bool,
    /// The process is gone.
    pub(crate) dead: bool,
    /// The connection was let go of.
    pub(crate) gone: bool,
    /// Sees the end of the connection only once all before it was used.
    pub(crate) patient: bool,
    pub(crate) said: Vec<String>,
}

impl Server {
    pub(crate) fn new(now: Instant, config: Config, id: u64, patient: bool) -> Self {
        let config = Arc::new(config);
        let mut server = Self {
            session: Session::new(now, Arc::clone(&config), ehlo_server::Peer::new(id)),
            config,
            dialogue: Dialogue::new(),
            carry: Vec::new(),
            produced: 0,
            written: 0,
            incoming: None,
            store: Vec::new(),
            aborted: Vec::new(),
            serial: 0,
            resume_at: None,
            read_at: now,
            write_at: now,
            closed: None,
            end_told: false,
            dead: false,
            gone: false,
            patient,
            said: Vec::new(),
        };
        server.note_output();
        server
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.dead && self.closed.is_none()
    }

    /// Gives the carry to the session, one event at a time, until it wants no more.
    pub(crate) fn feed(&mut self, now: Instant, weather: &Weather, rng: &mut Rng) -> Vec<Asked> {
        let mut asked = Vec::new();
        let carry = std::mem::take(&mut self.carry);
        let mut rest = &carry[..];
        loop {
            let wanted = self.session.wants_input();
            let step = self.session.handle_input(now, rest);
            assert!(wanted || step.used == 0, "a parked session used {} bytes", step.used);
            self.dialogue.taken(&rest[..step.used]);
            rest = &rest[step.used..];
            self.note_output();
            let Some(event) = step.event else { break };
            if let Event::Body(piece) = event {
                assert!(!piece.is_empty(), "an empty piece");
                self.incoming.as_mut().expect("a body has begun").extend_from_slice(piece);
                if rng.percent(weather.pause) {
                    self.session.body_paused(now);
                    self.said.push("sink pauses".into());
                    self.resume_at = Some(now + rng.delay(weather.stall));
                    break;
                }
            } else {
                asked.extend(self.on_event(event));
            }
        }
        assert!(rest.is_empty() || !self.session.wants_input() || self.resume_at.is_some(), "input was left");
        self.carry = rest.to_vec();
        asked
    }

    /// Takes what the session has to tell.
    pub(crate) fn drain(&mut self) -> Vec<Asked> {
        self.note_output();
        let mut asked = Vec::new();
        while let Some(event) = self.session.poll_event() {
            asked.extend(self.on_event(event));
        }
        asked
    }

    fn on_event(&mut self, event: Event<'_>) -> Option<Asked> {
        assert!(self.closed.is_none(), "{event:?} behind the end");
        self.said.push(format!("{event:?}"));
        match event {
            Event::Ask(question) => {
                self.check_pending(&question);
                self.serial += 1;
                return Some(Asked { serial: self.serial, question });
            }
            Event::BodyStart => {
                assert!(self.incoming.replace(Vec::new()).is_none(), "a body within a body");
            }
            Event::BodyAborted(reason) => {
                assert!(self.incoming.take().is_some(), "a body was aborted that had not begun");
                self.aborted.push(reason);
                self.resume_at = None;
            }
            Event::Closed(reason) => {
                assert!(self.incoming.is_none(), "a body is left open");
                self.closed = Some(reason);
                self.resume_at = None;
            }
            other => panic!("{other:?} does not come here"),
        }
        None
    }

    /// What is asked about can be read, and is what the question is about.
    fn check_pending(&self, question: &Question) {
        let pending = self.session.pending();
        let fits = match question {
            Question::Connect(_) => pending == Pending::Connect,
            Question::Hello(_) => matches!(pending, Pending::Hello { .. }),
            Question::Mail(_) => matches!(pending, Pending::Mail { .. }),
            Question::Rcpt(_) => matches!(pending, Pending::Rcpt { .. }),
            Question::Data(_) => pending == Pending::Data && self.session.envelope().recipient_count() > 0,
            Question::Commit(_) => {
                let size = self.incoming.as_ref().map(|body| body.len() as u64);
                size.is_some_and(|size| pending == Pending::Commit { size })
            }
            _ => true,
        };
        assert!(fits, "{question:?} with {pending:?}");
    }

    /// Whether this is the question that is open.
    pub(crate) fn is_open_question(&self, serial: u64) -> bool {
        serial == self.serial && self.session.pending() != Pending::Nothing
    }

    /// The application says that a message is safe: it is stored, if the session has not answered by itself.
    pub(crate) fn commit(&mut self, now: Instant, answer: ehlo_server::Answer) -> Result<(), ResolveError> {
        let view = self.session.envelope();
        let from = view.reverse_path_text().to_owned();
        let to = view.recipients().map(|to| to.to_string()).collect();
        self.session.resolve(now, answer)?;
        let body = self.incoming.take().expect("a body was complete");
        self.store.push(Stored { from, to, body });
        Ok(())
    }

    /// The application refuses a message that is complete.
    pub(crate) fn forget(&mut self) {
        self.incoming = None;
    }

    /// Writes some of the output; gives it.
    pub(crate) fn write(&mut self, now: Instant, room: usize, rng: &mut Rng) -> Vec<u8> {
        let output = self.session.output();
        let n = rng.portion(output.len().min(room));
        let bytes = output[..n].to_vec();
        self.session.output_sent(now, n);
        self.written += n;
        bytes
    }

    /// Shows the model what the session has put out since it was last looked at.
    pub(crate) fn note_output(&mut self) {
        let output = self.session.output();
        let fresh = &output[self.produced - self.written..];
        self.produced += fresh.len();
        self.dialogue.written(fresh);
    }

    pub(crate) fn resume(&mut self, now: Instant) {
        self.resume_at = None;
        self.said.push("sink resumes".into());
        self.session.body_resumed(now);
    }
}
