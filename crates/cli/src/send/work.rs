//! Connections that take one message after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use ehlo_tokio::client::{Client, Envelope, Recipient, Report, SendError};
use ehlo_tokio::ehlo_client::codec::{MailParamsBuf, ReversePath};
use ehlo_tokio::ehlo_client::{Fate, Job};
use ehlo_tokio::route::Router;
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use super::address::To;
use super::message::Message;
use super::report;
use crate::connect::{ConnectError, Connector};
use crate::console::tell;
use crate::failure::{EX_NOINPUT, EX_TEMPFAIL, exit_code};

/// Everything that is to be done.
pub(crate) struct Plan {
    /// The name of the command, for what it says.
    pub(crate) command: &'static str,
    /// Whether to say nothing of what went well, and nothing on the standard output.
    pub(crate) quiet: bool,
    pub(crate) connector: Connector,
    /// Finds the hosts of the recipients' domains, where it is not one server that takes all.
    pub(crate) router: Option<Router>,
    /// Each with its sender.
    pub(crate) messages: Vec<(Message, String)>,
    pub(crate) to: Vec<To>,
    pub(crate) params: MailParamsBuf,
    pub(crate) connections: usize,
    pub(crate) verbose: bool,
    pub(crate) json: bool,
    pub(crate) lmtp: bool,
    pub(crate) progress: ProgressBar,
}

struct Work {
    plan: Plan,
    next: AtomicUsize,
    /// Connections that stand or are being made.
    open: AtomicUsize,
    worst: AtomicU8,
}

/// Does it; gives the exit status.
pub(super) async fn run(plan: Plan) -> u8 {
    let count = plan.connections.min(plan.messages.len()).max(1);
    let work =
        Arc::new(Work { plan, next: AtomicUsize::new(0), open: AtomicUsize::new(count), worst: AtomicU8::new(0) });
    let mut workers = JoinSet::new();
    for number in 1..=count {
        let prefix = if count > 1 { format!("[{number}] ") } else { String::new() };
        workers.spawn(Arc::clone(&work).connection(prefix));
    }
    while workers.join_next().await.is_some() {}
    work.plan.progress.finish_and_clear();
    work.worst.load(Ordering::Relaxed)
}

impl Work {
    fn note(&self, code: u8) {
        let _ = self.worst.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |worst| Some(report::worse(worst, code)));
    }

    async fn connection(self: Arc<Self>, prefix: String) {
        let mut client = None;
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((message, from)) = self.plan.messages.get(number) else { break };
            if let Err(error) = self.deliver(&mut client, message, from, &prefix).await {
                self.give_up(&error, message, from);
                return;
            }
            self.plan.progress.inc(1);
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(client) = client.filter(|client| client.closed().is_none()) {
            // All is said; how the server takes its leave changes nothing.
            let _ = client.quit().await;
        }
    }

    /// There is no connection, and so none for the next message either; but others may stand, and take what is left.
    fn give_up(&self, error: &ConnectError, message: &Message, from: &str) {
        tell(self.plan.command, &error.text);
        self.note(error.exit_code());
        self.unsent(message, from, &error.text);
        if self.open.fetch_sub(1, Ordering::Relaxed) > 1 {
            return;
        }
        while let Some((message, from)) = self.plan.messages.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            self.unsent(message, from, &error.text);
        }
    }

    fn unsent(&self, message: &Message, from: &str, error: &str) {
        if self.plan.json {
            let to = self.recipients();
            let report = Job::new(Envelope::new(ReversePath::Null, &to)).into_report();
            self.json(message, from, None, &report, Some(error));
        }
    }

    fn recipients(&self) -> Vec<Recipient<'_>> {
        self.plan.to.iter().filter_map(To::recipient).collect()
    }

    fn json(&self, message: &Message, from: &str, client: Option<&Client>, report: &Report, error: Option<&str>) {
        report::json(message, from, &self.plan.to, client, report, error, None);
    }

    async fn deliver(
        &self,
        client: &mut Option<Client>,
        message: &Message,
        from: &str,
        prefix: &str,
    ) -> Result<(), ConnectError> {
        let to = self.recipients();
        let (mut whole, mut places) = (None::<Report>, (0..to.len()).collect::<Vec<_>>());
        loop {
            let mut used = true;
            if !client.as_mut().is_some_and(Client::is_usable) {
                if let Some(old) = client.take().filter(|client| client.closed().is_none()) {
                    let _ = old.quit().await;
                }
                used = false;
                *client =
                    Some(self.plan.connector.connect(report::observer(self.plan.verbose, prefix.to_owned())).await?);
            }
            let Some(connected) = client.as_mut() else { return Ok(()) };
            let batch: Vec<Recipient<'_>> = places.iter().map(|place| to[*place]).collect();
            let (part, error) = send(&self.plan, connected, message, from, &batch).await;
            let left: Vec<usize> = part.unsent().map(|i| places[i]).collect();
            let progress = left.len() < places.len();
            match &mut whole {
                None => whole = Some(part),
                Some(whole) => whole.merge(&places, &part),
            }
            // Of these nothing was sent, be it that the server closes connections that it has had for long, or takes so many messages over one.
            let again = !left.is_empty() && error.is_none() && (used || progress) && !connected.is_usable();
            if !again {
                let report = whole.unwrap_or_default();
                self.tell(connected, message, from, &report, error);
                return Ok(());
            }
            places = left;
        }
    }

    fn tell(&self, client: &Client, message: &Message, from: &str, report: &Report, error: Option<SendError>) {
        let name = &message.source.name;
        for fate in report.iter() {
            self.note(report::exit_code(&fate, self.plan.quiet));
        }
        let mut words = None;
        if let Some(error) = &error {
            // It was looked through before, and has changed meanwhile.
            self.note(if matches!(error, SendError::Read(..)) { EX_NOINPUT } else { exit_code(error) });
            words = Some(error.to_string());
        } else if let Some(reason) = client.closed()
            && report.iter().any(|fate| matches!(fate, Fate::Unsent | Fate::Unknown))
        {
            words = Some(reason.to_string());
        }
        self.note(if words.is_some() { EX_TEMPFAIL } else { 0 });
        self.plan.progress.suspend(|| {
            if self.plan.json {
                return self.json(message, from, Some(client), report, words.as_deref());
            }
            if let Some(words) = &words {
                tell(self.plan.command, format_args!("{name}: {words}"));
            }
            report::lines(self.plan.command, self.plan.quiet, name, &self.plan.to, report, self.plan.lmtp);
        });
    }
}

/// Sends a message to some of the recipients. What the report says holds whether there is an error or not.
pub(super) async fn send(
    plan: &Plan,
    client: &mut Client,
    message: &Message,
    from: &str,
    to: &[Recipient<'_>],
) -> (Report, Option<SendError>) {
    let Ok(envelope) = Envelope::parse(from, to) else { return (Report::default(), None) };
    let envelope = envelope
        .with_body(message.kind)
        .with_utf8(message.utf8)
        .with_size(message.size)
        .with_params(plan.params.as_params());
    let nothing = || Job::new(envelope).into_report();
    let sent = match message.body() {
        Ok(mut body) => client.send_body(&envelope, &mut body).await,
        Err(error) => Err(SendError::Read(error, Box::new(nothing()))),
    };
    match sent {
        Ok(report) => (report, None),
        Err(SendError::Body(error, report)) => {
            let kept = if report.len() == to.len() { *report } else { nothing() };
            (kept, Some(SendError::Body(error, Box::default())))
        }
        Err(SendError::Read(error, report)) => {
            let kept = if report.len() == to.len() { *report } else { nothing() };
            (kept, Some(SendError::Read(error, Box::default())))
        }
        Err(error) => (nothing(), Some(error)),
    }
}
