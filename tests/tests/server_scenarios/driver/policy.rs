//! A policy and a sink that ask the runner.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use ehlo_server::codec::Reply;
use ehlo_server::{EnvelopeView, Pending, Questions};
use ehlo_tokio::auth::{Attempt, AuthDecision, Authenticator};
use ehlo_tokio::ehlo_sasl::{Answer, Mechanism, Request};
use ehlo_tokio::{
    BodySink, Commit, Decision, Etrn, Expn, Hello, Intervention, Mail, MessageContext, Policy, Rcpt, Upcoming, Vrfy,
};
use tokio::sync::{mpsc as channel, oneshot};

use crate::bare::{show, show_envelope};
use crate::escape::escaped;
use crate::format::Verdict;

/// What policy and sink tell the runner.
pub(super) enum Told {
    /// A question, and where the answer goes unless it was given at once.
    Ask(String, Option<oneshot::Sender<Verdict>>),
    Begin(String),
    Commit(oneshot::Sender<Commit>),
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
    /// The sink fails when it is called next.
    pub(super) failing: bool,
    pub(super) waker: Option<Waker>,
}

#[derive(Clone)]
pub(super) struct Scripted {
    pub(super) questions: Questions,
    pub(super) tell: channel::UnboundedSender<Told>,
    pub(super) shared: Arc<Mutex<Shared>>,
    /// The scenario's answers in order, if they are to be given at once.
    pub(super) answers: Arc<Mutex<VecDeque<Verdict>>>,
    pub(super) mechanisms: Vec<Mechanism>,
    /// Bytes that the sink takes at a time.
    pub(super) sink: usize,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scripted {
    fn ask(&self, pending_question: Pending<'_>) -> Decision {
        match self.tell(show(pending_question)) {
            Ok(verdict) => decision(&verdict),
            Err(later) => Decision::later(async move { decision(&later.await) }),
        }
    }

    /// Tells of a question. Gives the answer, if it is known, or else what it comes by.
    fn tell(&self, shown: String) -> Result<Verdict, impl Future<Output = Verdict> + Send + use<>> {
        let known = lock(&self.answers).pop_front();
        if let Some(verdict) = known.filter(|known| !matches!(known, Verdict::Later | Verdict::Never | Verdict::Drop)) {
            self.tell.send(Told::Ask(shown, None)).ok();
            return Ok(verdict);
        }
        let (answer, answered) = oneshot::channel();
        self.tell.send(Told::Ask(shown, Some(answer))).ok();
        Err(async move {
            match answered.await {
                Ok(verdict) => verdict,
                Err(_) => pending().await,
            }
        })
    }
}

impl Authenticator for Scripted {
    fn mechanisms(&self) -> Vec<Mechanism> {
        self.mechanisms.clone()
    }

    fn answer(&self, attempt: &Attempt<'_>, request: Request) -> AuthDecision {
        let mechanism = attempt.mechanism;
        let response = match &request {
            Request::Password { authentication_id, password } => match mechanism {
                Mechanism::Login => password.as_bytes().to_vec(),
                _ => [b"\0", authentication_id.as_bytes(), b"\0", password.as_bytes()].concat(),
            },
            request => format!("{request:?}").into_bytes(),
        };
        match self.tell(format!("auth {mechanism} \"{}\"", escaped(&response))) {
            Ok(verdict) => auth_decision(&verdict),
            Err(later) => AuthDecision::later(async move { auth_decision(&later.await) }),
        }
    }
}

fn auth_decision(verdict: &Verdict) -> AuthDecision {
    match verdict {
        Verdict::AcceptAs(identity) => Answer::AcceptAs(identity.clone()).into(),
        Verdict::Fail => Answer::Reject.into(),
        Verdict::Reject(reply) | Verdict::Defer(reply) => AuthDecision::Refuse(reply.clone()),
        // It is no answer to such a question, which the bare session's runner tells.
        _ => Answer::Unavailable.into(),
    }
}

fn decision(verdict: &Verdict) -> Decision {
    match verdict {
        Verdict::AcceptAt(priority) => Decision::AcceptWithPriority(*priority),
        Verdict::AcceptWith(reply) => Decision::AcceptWith(reply.clone()),
        Verdict::Reject(reply) => Decision::Reject(reply.clone()),
        Verdict::Defer(reply) => Decision::Defer(reply.clone()),
        Verdict::Override(with) => Decision::Intervene(Intervention::new(with.clone())),
        _ => Decision::Accept,
    }
}

impl Policy for Scripted {
    type Sink = Sink;

    fn questions(&self) -> Questions {
        self.questions
    }

    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        Some(Arc::new(self.clone()))
    }

    fn sink(&self) -> Sink {
        Sink { tell: self.tell.clone(), shared: Arc::clone(&self.shared), most: self.sink, commit: None, lost: false }
    }

    fn intervene(&self, upcoming: &Upcoming<'_>) -> Decision {
        self.ask(Pending::Override(upcoming.moment))
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
    commit: Option<oneshot::Receiver<Commit>>,
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
        if std::mem::take(&mut shared.failing) {
            return Poll::Ready(Err(std::io::ErrorKind::StorageFull.into()));
        }
        let taken = bytes.len().min(self.most);
        shared.body.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        self.poll_commit_each(cx).map(|commit| match commit {
            Commit::Same(result) => result,
            other => panic!("{other:?} under SMTP"),
        })
    }

    fn poll_commit_each(&mut self, cx: &mut Context<'_>) -> Poll<Commit> {
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
