//! A policy and a sink that ask the runner.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use ehlo_server::codec::Reply;
use ehlo_server::{EnvelopeView, Pending, Questions};
use ehlo_tokio::{BodySink, Decision, Etrn, Expn, Hello, Mail, MessageContext, Policy, Rcpt, Vrfy};
use tokio::sync::{mpsc as channel, oneshot};

use crate::bare::{show, show_envelope};
use crate::format::Verdict;

/// What policy and sink tell the runner.
pub(super) enum Told {
    /// A question, and where the answer goes unless it was given at once.
    Ask(String, Option<oneshot::Sender<Decision>>),
    Begin(String),
    Commit(oneshot::Sender<Result<Option<Reply>, Reply>>),
    Aborted,
    /// The connection is no more.
    Gone,
}

impl Told {
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Ask(shown, _) => format!("ask {shown}"),
            Self::Begin(_) => "the beginning of a message".to_owned(),
            Self::Commit(_) => "ask commit".to_owned(),
            Self::Aborted => "aborted".to_owned(),
            Self::Gone => "the end of the connection".to_owned(),
        }
    }
}

/// What the runner and the sink share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) body: Vec<u8>,
    pub(super) paused: bool,
    pub(super) waker: Option<Waker>,
}

pub(super) struct Scripted {
    pub(super) questions: Questions,
    pub(super) tell: channel::UnboundedSender<Told>,
    pub(super) shared: Arc<Mutex<Shared>>,
    /// The scenario's answers in order, if they are to be given at once.
    pub(super) answers: Mutex<VecDeque<Verdict>>,
    /// Bytes that the sink takes at a time.
    pub(super) sink: usize,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scripted {
    fn ask(&self, pending_question: Pending<'_>) -> Decision {
        let shown = show(pending_question);
        if let Some(decision) = lock(&self.answers).pop_front().and_then(|verdict| decision(&verdict)) {
            self.tell.send(Told::Ask(shown, None)).ok();
            return decision;
        }
        let (answer, answered) = oneshot::channel();
        self.tell.send(Told::Ask(shown, Some(answer))).ok();
        Decision::later(async move {
            match answered.await {
                Ok(decision) => decision,
                Err(_) => pending().await,
            }
        })
    }
}

pub(super) fn decision(verdict: &Verdict) -> Option<Decision> {
    match verdict {
        Verdict::Accept => Some(Decision::Accept),
        Verdict::AcceptWith(reply) => Some(Decision::AcceptWith(reply.clone())),
        Verdict::AcceptAt(priority) => Some(Decision::AcceptWithPriority(*priority)),
        Verdict::Reject(reply) => Some(Decision::Reject(reply.clone())),
        Verdict::Defer(reply) => Some(Decision::Defer(reply.clone())),
        Verdict::Later | Verdict::Never | Verdict::Drop => None,
    }
}

impl Policy for Scripted {
    type Sink = Sink;

    fn questions(&self) -> Questions {
        self.questions
    }

    fn sink(&self) -> Sink {
        Sink { tell: self.tell.clone(), shared: Arc::clone(&self.shared), most: self.sink, commit: None, lost: false }
    }

    fn connect(&self, _: &ehlo_tokio::Context<'_>) -> Decision {
        self.ask(Pending::Connect)
    }

    fn hello(&self, hello: &Hello<'_>) -> Decision {
        self.ask(Pending::Hello { name: hello.name, extended: hello.extended })
    }

    fn mail(&self, mail: &Mail<'_>) -> Decision {
        self.ask(Pending::Mail { from: mail.from, params: mail.params })
    }

    fn rcpt(&self, rcpt: &Rcpt<'_>) -> Decision {
        self.ask(Pending::Rcpt { to: rcpt.to, params: rcpt.params })
    }

    fn data(&self, _: &ehlo_tokio::Context<'_>) -> Decision {
        self.ask(Pending::Data)
    }

    fn vrfy(&self, vrfy: &Vrfy<'_>) -> Decision {
        self.ask(Pending::Vrfy { text: vrfy.text, smtputf8: vrfy.smtputf8 })
    }

    fn expn(&self, expn: &Expn<'_>) -> Decision {
        self.ask(Pending::Expn { text: expn.text, smtputf8: expn.smtputf8 })
    }

    fn etrn(&self, etrn: &Etrn<'_>) -> Decision {
        self.ask(Pending::Etrn(etrn.node))
    }
}

pub(super) struct Sink {
    tell: channel::UnboundedSender<Told>,
    shared: Arc<Mutex<Shared>>,
    most: usize,
    commit: Option<oneshot::Receiver<Result<Option<Reply>, Reply>>>,
    /// The commit will never be answered.
    lost: bool,
}

impl BodySink for Sink {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        lock(&self.shared).body.clear();
        let envelope: EnvelopeView<'_> = message.envelope;
        self.tell.send(Told::Begin(show_envelope(envelope))).ok();
        Ok(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let mut shared = lock(&self.shared);
        if shared.paused {
            shared.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = bytes.len().min(self.most);
        shared.body.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        if self.lost {
            return Poll::Pending;
        }
        let commit = self.commit.get_or_insert_with(|| {
            let (answer, answered) = oneshot::channel();
            self.tell.send(Told::Commit(answer)).ok();
            answered
        });
        match Pin::new(commit).poll(cx) {
            Poll::Ready(Ok(result)) => {
                self.commit = None;
                Poll::Ready(result)
            }
            Poll::Ready(Err(_)) => {
                self.lost = true;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn abort(&mut self) {
        (self.commit, self.lost) = (None, false);
        self.tell.send(Told::Aborted).ok();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.tell.send(Told::Gone).ok();
    }
}
