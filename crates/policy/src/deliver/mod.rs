//! A message's way to everything that its recipients lead to, with one commit.
//!
//! A message goes to maildirs and to places. What goes into maildirs can be taken back until it is made visible; what a place has accepted
//! can't. So the maildirs are prepared first, then the places are asked, and then the maildirs are made visible. A transaction goes to one such
//! place at the most, unless an alias leads to several: then there is no moment at which one has the message for good and another may
//! still refuse it.

mod commit;
mod fan;
mod files;
mod local;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use ehlo_tokio::ehlo_server::codec::{ForwardPathBuf, Reply, ReversePath};
use ehlo_tokio::ehlo_server::{EnvelopeBuf, EnvelopeView, Protocol, RecipientAnswer};
use ehlo_tokio::store::{FileOps, StdFiles};
use ehlo_tokio::{BodySink, Commit, MessageContext, trace};
use xxhash_rust::xxh3::Xxh3;

use self::commit::Committing;
pub(crate) use self::commit::mailbox_full;
use self::fan::Fan;
pub(crate) use self::files::Maildirs;
use self::files::{Folder, next_id};
use self::local::Local;
use crate::directory::{Keeps, Target};
use crate::plan::Plan;
use crate::policy::{Live, plan_of};
use crate::reply;

/// What a branch of the message's way is: the maildirs together, or a place by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Branch {
    /// The maildir of that number among the message's.
    Folder(usize),
    /// The recipient of that number of that place among the message's.
    Place(usize, usize),
}

/// A maildir that gets the message.
struct FolderPlan {
    /// Whose mailboxes they are.
    mailboxes: Vec<usize>,
}

/// A place that gets the message.
struct PlaceBranch {
    sink: Box<dyn BodySink>,
}

/// A message that is coming in.
struct Message<F: FileOps> {
    plan: Arc<Plan>,
    id: String,
    local: Option<Local<F>>,
    folders: Vec<FolderPlan>,
    places: Vec<PlaceBranch>,
    /// What each recipient leads to.
    ways: Vec<Vec<Branch>>,
    fan: Fan,
    size: u64,
    /// Only where repeated messages are looked for.
    digest: Option<Box<Xxh3>>,
    /// Whose message it is, for what is counted at its end.
    owner: Owner,
}

/// For whom a message is counted.
pub(crate) struct Owner {
    pub(crate) ip: std::net::IpAddr,
    pub(crate) sender: Option<String>,
    pub(crate) user: Option<String>,
}

/// The sink of [`FilePolicy`](crate::FilePolicy).
pub struct PolicySink<F: FileOps = StdFiles> {
    live: Arc<Live<F>>,
    message: Option<Box<Message<F>>>,
    committing: Option<Pin<Box<dyn Future<Output = Vec<RecipientAnswer>> + Send>>>,
}

impl<F: FileOps> std::fmt::Debug for PolicySink<F> {
    /// Without anything of the message, which is not for logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicySink").field("message", &self.message.is_some()).finish_non_exhaustive()
    }
}

/// Sorts out where a message goes.
struct Sorting<'m> {
    plan: &'m Plan,
    envelope: EnvelopeView<'m>,
    folders: Vec<(PathBuf, Vec<usize>)>,
    folder_numbers: HashMap<PathBuf, usize>,
    places: Vec<(usize, EnvelopeBuf, HashMap<String, usize>)>,
}

impl Sorting<'_> {
    /// Adds where one recipient's mail goes.
    fn add(&mut self, target: &Target, params: &ehlo_tokio::ehlo_server::codec::RcptParams<'_>) -> Option<Branch> {
        let (place, address) = match target {
            Target::Mailbox(number) => {
                let mailbox = self.plan.directory.mailboxes.get(*number)?;
                match &mailbox.keeps {
                    Keeps::Maildir(path, _) => {
                        let index = match self.folder_numbers.get(path) {
                            Some(&index) => index,
                            None => {
                                self.folders.push((path.clone(), Vec::new()));
                                self.folder_numbers.insert(path.clone(), self.folders.len() - 1);
                                self.folders.len() - 1
                            }
                        };
                        let mailboxes = &mut self.folders[index].1;
                        if !mailboxes.contains(number) {
                            mailboxes.push(*number);
                        }
                        return Some(Branch::Folder(index));
                    }
                    Keeps::Place(place) => (*place, &mailbox.address),
                }
            }
            Target::Elsewhere(place, address) => (*place, address),
        };
        let path: ForwardPathBuf = format!("<{address}>").parse().ok()?;
        let index = self.places.iter().position(|(number, ..)| *number == place).unwrap_or_else(|| {
            self.places.push((place, self.envelope.without_recipients(), HashMap::new()));
            self.places.len() - 1
        });
        let (_, envelope, known) = &mut self.places[index];
        let count = known.len();
        let number = *known.entry(address.to_string()).or_insert_with(|| {
            envelope.push(path.as_path(), params);
            count
        });
        Some(Branch::Place(index, number))
    }
}

impl<F: FileOps> PolicySink<F> {
    pub(crate) const fn new(live: Arc<Live<F>>) -> Self {
        Self { live, message: None, committing: None }
    }

    fn sort(&self, context: &MessageContext<'_>) -> Result<Message<F>, Reply> {
        let plan = plan_of(context.notes).unwrap_or_else(|| self.live.plan());
        let mut sorting = Sorting {
            plan: &plan,
            envelope: context.envelope,
            folders: Vec::new(),
            folder_numbers: HashMap::new(),
            places: Vec::new(),
        };
        let mut ways = Vec::new();
        if let Some(all) = plan.accept_all {
            // As it came, for nobody is looked up.
            let mut envelope = context.envelope.without_recipients();
            for (number, recipient) in context.envelope.recipients().enumerate() {
                envelope.push(recipient.path, &recipient.params);
                ways.push(vec![Branch::Place(0, number)]);
            }
            sorting.places.push((all, envelope, HashMap::new()));
        } else {
            for recipient in context.envelope.recipients() {
                let targets = plan.directory.find(recipient.path).targets(recipient.path);
                let way: Option<Vec<Branch>> =
                    targets.iter().map(|target| sorting.add(target, &recipient.params)).collect();
                match way {
                    Some(way) if !way.is_empty() => ways.push(way),
                    // It was accepted by another version of the file than this one.
                    _ => return Err(reply::CHANGED),
                }
            }
        }
        let Sorting { folders, places, .. } = sorting;
        if folders.iter().any(|(path, _)| !self.live.maildirs.is_trusted(path)) {
            return Err(reply::NOT_STORED);
        }
        let now = SystemTime::now();
        let id = next_id(now);
        let mut branches = Vec::with_capacity(places.len());
        for (place, envelope, _) in &places {
            let mut sink = plan.places.get(*place).ok_or(reply::NOT_STORED)?.open();
            let mut context: MessageContext<'_> = *context;
            context.envelope = envelope.view();
            if let Err(reply) = sink.begin(&context) {
                branches.iter_mut().for_each(|PlaceBranch { sink }| sink.abort());
                return Err(reply);
            }
            branches.push(PlaceBranch { sink });
        }
        let local = (!folders.is_empty()).then(|| {
            let heads = folders.iter().map(|(path, mailboxes)| Folder {
                path: path.clone(),
                head: head(&plan, context, mailboxes, &id, now),
            });
            // It may hold no slash, which would make a path of it, nor a colon, which begins the flags.
            let name = format!("{id}.{}", context.hostname.replace(['/', ':'], "_"));
            Local::new(Arc::clone(&self.live.maildirs), heads.collect(), name)
        });
        let fan = Fan::new(branches.len() + usize::from(local.is_some()));
        let digest = plan.repeats.map(|_| Box::new(Xxh3::with_seed(self.live.seed)));
        Ok(Message {
            id,
            local,
            folders: folders.into_iter().map(|(_, mailboxes)| FolderPlan { mailboxes }).collect(),
            places: branches,
            ways,
            fan,
            size: 0,
            digest,
            owner: crate::policy::owner_of(context.peer.ip(), context.envelope),
            plan,
        })
    }
}

/// What stands in front of a message in a maildir: where it came from, and whose it is there. Nothing tells of other recipients.
fn head(plan: &Plan, context: &MessageContext<'_>, mailboxes: &[usize], id: &str, now: SystemTime) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    trace::return_path(context.envelope.reverse_path().unwrap_or(ReversePath::Null), &mut head);
    for mailbox in mailboxes.iter().filter_map(|&number| plan.directory.mailboxes.get(number)) {
        head.extend_from_slice(format!("Delivered-To: {}\r\n", mailbox.address).as_bytes());
    }
    trace::received(context, id, now, &mut head);
    head
}

impl<F: FileOps> BodySink for PolicySink<F> {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        self.abort();
        self.message = Some(Box::new(self.sort(message)?));
        Ok(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(message) = self.message.as_deref_mut() else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let Message { local, places, fan, digest, size, .. } = message;
        let result = fan.poll_write(cx, bytes, |number, cx, bytes| match places.get_mut(number) {
            Some(place) => place.sink.poll_write(cx, bytes),
            None => local.as_mut().map_or(Poll::Ready(Ok(bytes.len())), |local| local.poll_write(cx, bytes)),
        });
        match ready!(result) {
            Ok(taken) => {
                *size += taken as u64;
                if let Some(digest) = digest {
                    digest.update(&bytes[..taken]);
                }
                Poll::Ready(Ok(taken))
            }
            Err(error) => {
                // A piece is missing now: whoever went on with it all the same would commit the rest as if it were the message.
                self.abort();
                Poll::Ready(Err(error))
            }
        }
    }

    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        let answers = ready!(self.poll_answers(cx, Protocol::Smtp));
        // One reply for all: the first that refuses, or the first.
        let refused = answers.iter().position(Result::is_err).unwrap_or_default();
        Poll::Ready(answers.into_iter().nth(refused).unwrap_or(Err(reply::NOT_STORED)))
    }

    fn poll_commit_each(&mut self, cx: &mut Context<'_>) -> Poll<Commit> {
        self.poll_answers(cx, Protocol::Lmtp).map(Commit::Each)
    }

    fn abort(&mut self) {
        // What is dropped takes back what it has made.
        self.committing = None;
        if let Some(mut message) = self.message.take() {
            message.places.iter_mut().for_each(|place| place.sink.abort());
        }
    }
}

impl<F: FileOps> PolicySink<F> {
    fn poll_answers(&mut self, cx: &mut Context<'_>, protocol: Protocol) -> Poll<Vec<RecipientAnswer>> {
        if let Some(message) = self.message.take() {
            let committing = Committing::new(Arc::clone(&self.live), *message, protocol);
            self.committing = Some(Box::pin(committing.run()));
        }
        let Some(committing) = &mut self.committing else { return Poll::Ready(Vec::new()) };
        let answers = ready!(committing.as_mut().poll(cx));
        self.committing = None;
        Poll::Ready(answers)
    }
}

impl<F: FileOps> Drop for PolicySink<F> {
    fn drop(&mut self) {
        self.abort();
    }
}
