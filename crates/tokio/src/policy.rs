//! The decisions of an application.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ehlo_server::codec::{ClientId, EtrnNode, ForwardPath, MailParams, Priority, RcptParams, Reply, ReversePath};
use ehlo_server::{EnvelopeView, Moment, Questions, TlsInfo};

use crate::auth::Authenticator;
use crate::intervention::Intervention;
use crate::notes::Notes;
use crate::sink::BodySink;
use crate::store::Store;

/// A decision that takes time. It owns what it needs: nothing of a context lives that long.
pub type Later = Pin<Box<dyn Future<Output = Decision> + Send>>;

/// An answer to one question.
#[non_exhaustive]
pub enum Decision {
    /// Yes, with the usual reply.
    Accept,
    /// Yes, with a reply of class 2yz in place of the usual one. It counts for RCPT, VRFY, EXPN and ETRN; elsewhere it is
    /// [`Accept`](Self::Accept).
    AcceptWith(Reply),
    /// Yes to MAIL, with this priority for the message, whatever the client asked for; elsewhere it is [`Accept`](Self::Accept). Without
    /// it, none gets a priority above 0 (RFC 6710 §4.1).
    AcceptWithPriority(Priority),
    /// No, for good: a 5yz reply.
    Reject(Reply),
    /// Not now: a 4yz reply. After 421 the connection is closed.
    Defer(Reply),
    /// Something else than a server does; the answer to [`Policy::intervene`]. Elsewhere it is [`Accept`](Self::Accept).
    Intervene(Intervention),
    /// The answer is not known yet. Meanwhile the connection costs no thread and is read no further; its peer's going away and the
    /// deadline ([`Timeouts::answer`](ehlo_server::Timeouts)) end the wait, and the future is dropped.
    Later(Later),
}

impl Decision {
    /// A decision that takes time.
    pub fn later(future: impl Future<Output = Self> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }

    /// This decision, once so much time is over.
    pub fn after(delay: Duration, decision: Self) -> Self {
        Self::later(async move {
            tokio::time::sleep(delay).await;
            decision
        })
    }
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("Accept"),
            Self::AcceptWith(reply) => f.debug_tuple("AcceptWith").field(reply).finish(),
            Self::AcceptWithPriority(priority) => f.debug_tuple("AcceptWithPriority").field(priority).finish(),
            Self::Reject(reply) => f.debug_tuple("Reject").field(reply).finish(),
            Self::Defer(reply) => f.debug_tuple("Defer").field(reply).finish(),
            Self::Intervene(intervention) => f.debug_tuple("Intervene").field(intervention).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

/// Who is connected, and what is known of the transaction. Each question's context has one.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Context<'a> {
    /// Where the connection came from.
    pub peer: SocketAddr,
    /// The number of the connection, which no other one of this server has.
    pub connection: u64,
    /// The client's name, sender and accepted recipients, as far as they are known.
    pub envelope: EnvelopeView<'a>,
    /// The TLS that the connection is inside of.
    pub tls: Option<&'a TlsInfo>,
    /// What the policy remembers of this connection.
    pub notes: &'a Notes,
}

/// Whatever comes next.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Upcoming<'a> {
    /// Who is served.
    pub context: Context<'a>,
    /// What it is.
    pub moment: Moment<'a>,
}

/// EHLO or HELO.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Hello<'a> {
    /// Who asks.
    pub context: Context<'a>,
    /// The name that the client gives itself.
    pub name: ClientId<'a>,
    /// Whether it said EHLO.
    pub extended: bool,
}

/// MAIL.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Mail<'a> {
    /// Who asks.
    pub context: Context<'a>,
    /// The sender.
    pub from: ReversePath<'a>,
    /// The parameters as they came.
    pub params: MailParams<'a>,
}

/// RCPT.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rcpt<'a> {
    /// Who asks.
    pub context: Context<'a>,
    /// The recipient.
    pub to: ForwardPath<'a>,
    /// The parameters as they came.
    pub params: RcptParams<'a>,
}

/// VRFY.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Vrfy<'a> {
    /// Who asks.
    pub context: Context<'a>,
    /// A mailbox or a user's name.
    pub text: &'a str,
    /// The client takes UTF-8 in the reply (RFC 6531 §3.7.4.2).
    pub smtputf8: bool,
}

/// EXPN.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Expn<'a> {
    /// Who asks.
    pub context: Context<'a>,
    /// The name of a mailing list.
    pub text: &'a str,
    /// The client takes UTF-8 in the reply (RFC 6531 §3.7.4.2).
    pub smtputf8: bool,
}

/// ETRN.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Etrn<'a> {
    /// Who asks.
    pub context: Context<'a>,
    /// Whose mail is to be delivered (RFC 1985 §5.3).
    pub node: EtrnNode<'a>,
}

/// What a server accepts, and where messages go.
///
/// Each method answers one question; the defaults accept. The methods are called from the connection's task and must not block it:
/// look up what takes time in a [`Decision::later`]. An answer that is known at once costs no allocation.
///
/// A server with mailboxes of its own, which keeps what comes for them:
///
/// ```
/// use ehlo_tokio::ehlo_server::codec::Reply;
/// use ehlo_tokio::store::{Maildir, MaildirSink, Store};
/// use ehlo_tokio::{Decision, Policy, Rcpt, Server};
/// use tokio::net::TcpListener;
///
/// struct Mailboxes(Maildir);
///
/// impl Policy for Mailboxes {
///     type Sink = MaildirSink;
///
///     fn sink(&self) -> MaildirSink {
///         self.0.sink()
///     }
///
///     fn rcpt(&self, rcpt: &Rcpt<'_>) -> Decision {
///         match rcpt.to.as_str().to_ascii_lowercase().as_str() {
///             "ada@example.org" | "postmaster@example.org" | "postmaster" => Decision::Accept,
///             _ => Decision::Reject(Reply::fixed(550, Some((5, 1, 1)), "No such mailbox here")),
///         }
///     }
/// }
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     # let folder = std::env::temp_dir().join(format!("ehlo-mailboxes-{}", std::process::id()));
///     # std::fs::create_dir(&folder)?;
///     # std::env::set_current_dir(&folder)?;
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let stop = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
///     # let stop = visit(listener.local_addr()?);
///     Server::builder(Mailboxes(Maildir::open("mail")?)).serve(listener, stop).await;
///     # assert_eq!(std::fs::read_dir("mail/new")?.count(), 1);
///     # std::fs::remove_dir_all(&folder)?;
///     Ok(())
/// }
/// # // One client comes, with a message for a mailbox that there is and one that there is not.
/// # async fn visit(address: std::net::SocketAddr) {
/// #     use ehlo_tokio::client::{Envelope, Recipient};
/// #     let to = ["Ada@example.org", "eve@example.org"].map(|to| Recipient::parse(to).unwrap());
/// #     let mut client = ehlo_tokio::client::Client::connect(address).await.unwrap();
/// #     let report = client.send(&Envelope::parse("", &to).unwrap(), b"Subject: hi\r\n\r\nHello.\r\n").await.unwrap();
/// #     assert_eq!(report.accepted(), 1);
/// #     client.quit().await.unwrap();
/// # }
/// ```
pub trait Policy: Send + Sync + 'static {
    /// Takes the messages of one connection.
    type Sink: BodySink;

    /// Which of the other methods are to be called. All of them, unless this is overridden; one that isn't called accepts.
    fn questions(&self) -> Questions {
        Questions::ALL
    }

    /// A sink for a new connection.
    fn sink(&self) -> Self::Sink;

    /// Who answers for clients that authenticate (RFC 4954). Asked once, when the server is made. By default nobody does, and AUTH is
    /// not known. Whom a client has proven to be is told by [`EnvelopeView::identity`] of each [`Context`].
    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        None
    }

    /// Something is about to happen: the greeting, a command, a response of AUTH, or the end of a message. Here a policy can have
    /// [anything](Intervention) said, legal or not, and done to the connection; for tests of clients. Asked in front of every other
    /// question, where [`questions`](Self::questions) has [`Questions::OVERRIDE`], which [`Questions::ALL`] has not.
    ///
    /// [`Decision::Accept`] has everything go on as usual. A refusal is said in place of the usual reply, and has the command do nothing.
    fn intervene(&self, upcoming: &Upcoming<'_>) -> Decision {
        let _ = upcoming;
        Decision::Accept
    }

    /// A connection came. A refusal is its greeting: 554, 521 or 421 (RFC 5321 §3.1, RFC 7504 §3); other codes are replaced by those.
    fn connect(&self, connect: &Context<'_>) -> Decision {
        let _ = connect;
        Decision::Accept
    }

    /// The client names itself.
    fn hello(&self, hello: &Hello<'_>) -> Decision {
        let _ = hello;
        Decision::Accept
    }

    /// A transaction begins.
    fn mail(&self, mail: &Mail<'_>) -> Decision {
        let _ = mail;
        Decision::Accept
    }

    /// A recipient is added.
    fn rcpt(&self, rcpt: &Rcpt<'_>) -> Decision {
        let _ = rcpt;
        Decision::Accept
    }

    /// The message is about to come; the envelope is complete.
    fn data(&self, data: &Context<'_>) -> Decision {
        let _ = data;
        Decision::Accept
    }

    /// Whether there is such a mailbox. Accepting is 252: it verifies nothing, and tells a harvester of addresses nothing.
    fn vrfy(&self, vrfy: &Vrfy<'_>) -> Decision {
        let _ = vrfy;
        Decision::Accept
    }

    /// Who is on a mailing list. Asked where [`Config::expn`](ehlo_server::Config::expn) is on; accepting is 252, and tells nothing.
    fn expn(&self, expn: &Expn<'_>) -> Decision {
        let _ = expn;
        Decision::Accept
    }

    /// Whether what waits for a node is to be delivered now, over connections of this host's own. Asked where
    /// [`Config::etrn`](ehlo_server::Config::etrn) is on. The default refuses with 459: whose mail goes out on demand is for the operator to say (RFC 1985 §5.1).
    fn etrn(&self, etrn: &Etrn<'_>) -> Decision {
        const NOT_ALLOWED: Reply = Reply::fixed(459, Some((4, 7, 1)), "Node not allowed: no queue is run for you here");
        let _ = etrn;
        Decision::Defer(NOT_ALLOWED)
    }
}

/// Accepts every sender and recipient and puts their messages into a store. For tests, and for a host that nobody else can reach: on an
/// open network, whoever accepts mail for anybody is an open relay, or a bin.
#[derive(Clone, Copy, Debug, Default)]
pub struct AcceptAll<S>(pub S);

impl<S: Store> Policy for AcceptAll<S> {
    type Sink = S::Sink;

    fn questions(&self) -> Questions {
        Questions::NONE
    }

    fn sink(&self) -> S::Sink {
        self.0.sink()
    }
}
