//! The policy of a file, while a server runs by it.

mod asking;
mod mail;
mod names;
mod rcpt;
mod reload;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use ehlo_tokio::auth::Authenticator;
use ehlo_tokio::ehlo_server::codec::{Reply, ReplyClass};
use ehlo_tokio::ehlo_server::{EnvelopeView, Questions};
use ehlo_tokio::store::{FileOps, StdFiles};
use ehlo_tokio::{Context, Decision, Etrn, Expn, Mail, Notes, Policy, Rcpt, Vrfy};

use self::asking::{Asker, Question};
pub use self::reload::Builder;
use crate::address::mailbox_key;
use crate::config::{Measure, Per};
use crate::deliver::{Maildirs, Owner, PolicySink};
use crate::dns::{Cache, Resolver};
use crate::loaded::Loaded;
use crate::place::Places;
use crate::plan::Plan;
use crate::repeats::Repeats;
use crate::usage::{Holder, Usage};
use crate::users::{SharedUsers, Users};

/// Refusals of one connection that are logged. Whoever is refused more often is known by then (RFC 2505 §2.4).
const MAX_LOGGED: u32 = 20;

/// What a running server's policy is made of.
pub(crate) struct Live<F: FileOps> {
    current: RwLock<Arc<Plan>>,
    places: Places,
    pub(crate) maildirs: Arc<Maildirs<F>>,
    pub(crate) usage: Arc<Usage>,
    pub(crate) repeats: Arc<Repeats>,
    cache: Cache,
    resolver: Option<Arc<dyn Resolver>>,
    users: Option<Arc<Users>>,
    /// For digests of messages: one that is known to nobody, so that nobody makes two messages look alike.
    pub(crate) seed: u64,
    wall_clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// When the file systems were last seen to have room, or not.
    space: Mutex<Option<(Instant, bool)>>,
    /// What can't be changed without a restart.
    fixed: reload::Fixed,
}

impl<F: FileOps> Live<F> {
    /// The version of the file that is in force.
    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts what a mailbox holds, on a thread that may block.
    pub(crate) async fn count(&self, holder: &Arc<Holder>) {
        let (usage, holder) = (Arc::clone(&self.usage), Arc::clone(holder));
        let now = clock();
        // If it is lost it will be counted the next time.
        let _ = tokio::task::spawn_blocking(move || usage.count(now, &holder)).await;
    }
}

/// Now. tokio's clock and not the system's, so that a test can stop it.
fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// What is remembered of a connection.
#[derive(Debug, Default)]
struct Note(Arc<Remembered>);

/// The same, to be taken along by a decision that takes time.
#[derive(Default)]
struct Remembered {
    refusals: AtomicU32,
    transaction: Mutex<Option<Arc<Transaction>>>,
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered").field("refusals", &self.refusals).finish_non_exhaustive()
    }
}

/// A transaction: from MAIL to the end of its message one version of the file is in force.
struct Transaction {
    plan: Arc<Plan>,
    /// The place that its message goes to, if there is one that could not take it back.
    place: Mutex<Option<usize>>,
}

fn remembered(notes: &Notes) -> Arc<Remembered> {
    notes.with(|Note(remembered): &mut Note| Arc::clone(remembered))
}

/// The version of the file that the transaction began with.
pub(crate) fn plan_of(notes: &Notes) -> Option<Arc<Plan>> {
    let remembered = remembered(notes);
    let transaction = remembered.transaction.lock().unwrap_or_else(PoisonError::into_inner);
    transaction.as_ref().map(|transaction| Arc::clone(&transaction.plan))
}

/// For whom a message is counted.
pub(crate) fn owner_of(ip: IpAddr, envelope: EnvelopeView<'_>) -> Owner {
    let sender = envelope.reverse_path().and_then(|path| path.mailbox()).map(mailbox_key);
    Owner { ip, sender, user: envelope.identity().map(str::to_owned) }
}

impl Owner {
    /// Under what something is counted; `None` if it is not counted for this one.
    pub(crate) fn key(&self, plan: &Plan, per: Per) -> Option<String> {
        match per {
            Per::Network => Some(plan.prefixes.network(self.ip).to_string()),
            Per::Sender => self.sender.clone(),
            Per::User => self.user.clone(),
        }
    }
}

/// The policy of a file. Clones are one: give one to [`Server`](ehlo_tokio::Server) and keep the other, to [reload](Self::reload) it.
pub struct FilePolicy<F: FileOps = StdFiles> {
    live: Arc<Live<F>>,
}

impl<F: FileOps> Clone for FilePolicy<F> {
    fn clone(&self) -> Self {
        Self { live: Arc::clone(&self.live) }
    }
}

impl<F: FileOps> fmt::Debug for FilePolicy<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilePolicy").field("places", &self.live.places).finish_non_exhaustive()
    }
}

impl FilePolicy {
    /// Begins with a file that was found good.
    pub fn builder(loaded: Loaded, places: Places) -> Builder<StdFiles> {
        Builder::new(loaded, places, StdFiles)
    }
}

impl<F: FileOps> FilePolicy<F> {
    fn transaction(&self, notes: &Notes) -> Arc<Transaction> {
        let remembered = remembered(notes);
        let mut transaction = remembered.transaction.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || Arc::new(Transaction { plan: self.live.plan(), place: Mutex::default() });
        Arc::clone(transaction.get_or_insert_with(begin))
    }

    fn asker(&self, context: &Context<'_>, plan: Arc<Plan>) -> Asker<F> {
        Asker {
            live: Arc::clone(&self.live),
            plan,
            ip: context.peer.ip().to_canonical(),
            identity: context.envelope.identity().map(str::to_owned),
            remembered: remembered(context.notes),
            connection: context.connection,
            helo: context.envelope.client_name().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        }
    }

    /// Takes from the buckets of all rates of that kind.
    fn take(&self, plan: &Plan, of: Measure, owner: &Owner, count: u64) -> Result<(), Reply> {
        for rule in plan.rates.iter().filter(|rule| rule.of == of) {
            let Some(key) = owner.key(plan, rule.per) else { continue };
            let taken = match of {
                // They are counted at the end of the message.
                Measure::Bytes => rule.buckets.look(clock(), &key, count),
                _ => rule.buckets.take(clock(), &key, count),
            };
            if let Err(wait) = taken {
                return Err(rcpt::too_many(rule, wait));
            }
        }
        Ok(())
    }
}

/// A decision that refuses.
fn refuse(reply: Reply) -> Decision {
    if reply.code().class() == ReplyClass::PermanentFailure { Decision::Reject(reply) } else { Decision::Defer(reply) }
}

impl<F: FileOps> Policy for FilePolicy<F> {
    type Sink = PolicySink<F>;

    fn questions(&self) -> Questions {
        // Which of them are of use may change with the file.
        Questions::CONNECT | Questions::MAIL | Questions::RCPT | Questions::VRFY
    }

    fn sink(&self) -> PolicySink<F> {
        PolicySink::new(Arc::clone(&self.live))
    }

    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        let users = self.live.users.clone()?;
        Some(Arc::new(SharedUsers(users)))
    }

    fn connect(&self, context: &Context<'_>) -> Decision {
        let asker = self.asker(context, self.live.plan());
        let owner = Owner { ip: context.peer.ip(), sender: None, user: None };
        if let Some(reply) = asker.greeting() {
            return asker.refused(reply, "connect", "");
        }
        if let Err(reply) = self.take(&asker.plan, Measure::Connections, &owner, 1) {
            return asker.refused(reply, "rate", "");
        }
        Question::Connect.decide(asker)
    }

    fn mail(&self, mail: &Mail<'_>) -> Decision {
        let remembered = remembered(mail.context.notes);
        *remembered.transaction.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let transaction = self.transaction(mail.context.notes);
        let asker = self.asker(&mail.context, Arc::clone(&transaction.plan));
        let sender = mail.from.mailbox().map(mailbox_key);
        if let Some(reply) = asker.sender(mail.from) {
            return asker.refused(reply, "sender", mail.from.as_str());
        }
        let owner = Owner { ip: asker.ip, sender, user: asker.identity.clone() };
        let size = mail.params.size();
        for (of, count) in [(Measure::Bytes, size.unwrap_or(1)), (Measure::Messages, 1)] {
            if let Err(reply) = self.take(&asker.plan, of, &owner, count) {
                return asker.refused(reply, "rate", mail.from.as_str());
            }
        }
        Question::Mail { from: mail.from.into(), size }.decide(asker)
    }

    fn rcpt(&self, rcpt: &Rcpt<'_>) -> Decision {
        let transaction = self.transaction(rcpt.context.notes);
        let asker = self.asker(&rcpt.context, Arc::clone(&transaction.plan));
        let owner = owner_of(asker.ip, rcpt.context.envelope);
        if let Err(reply) = self.take(&asker.plan, Measure::Recipients, &owner, 1) {
            return asker.refused(reply, "rate", rcpt.to.as_str());
        }
        let size = rcpt.context.envelope.declared_size();
        Question::Rcpt { to: rcpt.to.into(), size, transaction }.decide(asker)
    }

    fn vrfy(&self, vrfy: &Vrfy<'_>) -> Decision {
        self.asker(&vrfy.context, self.live.plan()).vrfy(vrfy.text)
    }

    fn expn(&self, expn: &Expn<'_>) -> Decision {
        self.asker(&expn.context, self.live.plan()).expn(expn.text)
    }

    fn etrn(&self, etrn: &Etrn<'_>) -> Decision {
        self.asker(&etrn.context, self.live.plan()).etrn()
    }
}

impl<F: FileOps> Asker<F> {
    /// Tells of a refusal in the log, with what RFC 2505 §2.4 asks for, and no more often for one connection than is of use.
    fn refused(&self, reply: Reply, why: &str, subject: &str) -> Decision {
        let count = self.remembered.refusals.fetch_add(1, Ordering::Relaxed);
        if count < MAX_LOGGED {
            let last = count + 1 == MAX_LOGGED;
            let (code, enhanced) =
                (reply.code().get(), reply.enhanced().map(|code| code.to_string()).unwrap_or_default());
            tracing::info!(connection = self.connection, peer = %self.ip, helo = %self.helo, why, subject, code, %enhanced, last, "refused");
        }
        refuse(reply)
    }
}
