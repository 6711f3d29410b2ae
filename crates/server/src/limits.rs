//! Everything that a peer can make a session keep, count or wait for, each under a name.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Bounds of one session. Each field tells the floor of the RFC, the default and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a command line, CRLF included. Floor and default: 512 (RFC 5321 §4.5.3.1.4). MAIL and RCPT
    /// get more where an extension that is offered says so: 26 for SIZE (RFC 1870 §3), 524 for DSN (RFC 3461 §5.4), and so on.
    pub command_line: usize,
    /// Octets of a line of an AUTH exchange, CRLF included, where one more is 500 5.5.6, and of the AUTH command itself, which is 500 5.5.2
    /// like any command that is too long. Matters only where [mechanisms](crate::AuthConfig::mechanisms) are configured. Floor: what they
    /// need. Default: 12,288 characters and CRLF, which RFC 4954 §4 considers to be enough for all.
    pub auth_line: usize,
    /// Octets of an unterminated command line that are skipped until the session is closed. Default: 256 KiB. The text in between
    /// is never kept.
    pub discarded_line: usize,
    /// Octets of a message, after the dots are out; what SIZE names. Floor: 64 KiB (RFC 5321 §4.5.3.1.7). Default: 50 MiB; large
    /// providers take 25 to 150 MB.
    pub message_size: u64,
    /// Octets of a message, or of chunks that cannot be taken, that are read on after the refusal, until the session is closed. Default: 64 MiB: a client that
    /// declared no size may well send its large message to the end before it looks at the reply.
    pub refused_body: u64,
    /// Recipients of one transaction, told as RCPTMAX by LIMITS (RFC 9422 §4.2); one more is 452 4.5.3. Floor: 100 (RFC 5321 §4.5.3.1.8). Default: 1000, as Postfix and Exim.
    pub recipients: usize,
    /// Transactions of one session, told as MAILMAX by LIMITS (RFC 9422 §4.1); at one more the session is closed with 421. Default: no
    /// bound.
    pub transactions: Option<u32>,
    /// Different domains among the recipients that one session has accepted, told as RCPTDOMAINMAX by LIMITS (RFC 9422 §4.3); a recipient
    /// of one more is 452 4.5.3. Up to so many domains are kept, of 255 octets each. Default: no bound, and nothing is kept.
    pub recipient_domains: Option<u32>,
    /// Octets of all addresses of one transaction and of the parameters that came with them. Default: 256 KiB, which 1000 recipients of the longest common length fit in.
    pub envelope: usize,
    /// Octets of replies that wait for the peer to read; no further command is looked at until they fit. Default: 8 KiB; a reply
    /// line is 512 at most, so less than 1 KiB makes no sense.
    pub output: usize,
    /// Commands that were refused for syntax, sequence or being unknown, until the session is closed with 421. Default: 20, as
    /// Postfix's hard limit. RCPT, DATA and BDAT that the application refuses, or that follow a refused command, count only where there are
    /// more of them behind one MAIL than a batch can hold ([`recipients`](Self::recipients), and DATA).
    pub bad_commands: u32,
    /// Commands that do nothing for a message (NOOP, RSET, VRFY, HELP, EHLO, BDAT of no octets ...), and senders and messages that were refused, since
    /// the last accepted message, until the session is closed with 421. Default: 100, as Postfix.
    pub idle_commands: u32,
    /// AUTH exchanges that failed, until the session is closed with 421: wrong credentials, what is no response, and exchanges that the
    /// client gave up. Floor: 3 (RFC 4954 §9). Default: 5.
    pub auth_failures: u32,
    /// `Received:` fields of a message; one with more is refused with 554 5.4.6 once its end was read, for it goes round in a loop
    /// (RFC 5321 §6.3). Floor and default: 100 (same section); Postfix has 50. `None` counts nothing: for an application that finds
    /// loops in another way, or wants every message as it came.
    pub received: Option<u32>,
    /// Octets of a message that have to come each second, on the average since its beginning, once [`Timeouts::slow_body`] is over; a
    /// slower message is given up as at [`Timeouts::body`]. What a [sink takes of the time](crate::Session::body_paused) does not count.
    /// 0: no minimum. Default: 100; the RFC names none. Postfix's is 500, in its stress profile.
    pub data_rate: u32,
    /// Octets that a driver reads at a time, and so keeps of a connection at the most while its session is parked. Default: 64 KiB.
    pub read_chunk: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 512,
            auth_line: 12_288 + 2,
            discarded_line: 256 * 1024,
            message_size: 50 * 1024 * 1024,
            data_rate: 100,
            refused_body: 64 * 1024 * 1024,
            recipients: 1000,
            transactions: None,
            recipient_domains: None,
            envelope: 256 * 1024,
            output: 8 * 1024,
            bad_commands: 20,
            idle_commands: 100,
            auth_failures: 5,
            received: Some(100),
            read_chunk: 64 * 1024,
        }
    }
}

/// How long a session waits. Each field tells whose wait it is and where its default comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the peer's next command. Floor and default: 5 minutes (RFC 5321 §4.5.3.2.7).
    pub command: Duration,
    /// For more of a body. Default: 5 minutes; the RFC gives the client 3 for a block (§4.5.3.2.5).
    pub body: Duration,
    /// For a message that comes more slowly than [`Limits::data_rate`], from its beginning on. Default: 10 minutes, the longest that the
    /// RFC has a client wait for anything (§4.5.3.2.6).
    pub slow_body: Duration,
    /// For the peer to read replies. Default: 5 minutes.
    pub flush: Duration,
    /// For the application's answer to a question about the connection or envelope; then the session answers by itself, see
    /// [`Question`](crate::Question). Default: 2 minutes; the client waits
    /// for 5 (§4.5.3.2.2, §4.5.3.2.3).
    pub answer: Duration,
    /// For the application's answer to [`Question::Override`](crate::Question::Override); then nothing is overridden. Default: 2 hours,
    /// since what asks for it may want to see a client give up, which waits for 10 minutes at the longest (§4.5.3.2.6).
    pub override_answer: Duration,
    /// For the application to say that a message is safe; 451 then. Default: 9 minutes; the client waits for 10 (§4.5.3.2.6).
    pub commit: Duration,
    /// For a sink that takes no more of a body; 421 then. Default: 2 minutes; the client waits for 3 (§4.5.3.2.5).
    pub sink: Duration,
    /// For the TLS handshake, from STARTTLS or the connection on, however many octets of it come; then the connection is closed.
    /// Default: 1 minute. The RFCs name no floor; a handshake takes two round trips, and a client that resumes slowly none of them
    /// longer than seconds.
    pub handshake: Duration,
    /// For the whole session, from the connection on: 421 once it is over and the peer is waited for, whatever the peer does. A message
    /// that is coming is given up, so that this bounds the time of one that is slow within [`Limits::data_rate`], too; a decision, and the
    /// word that a message is safe, are waited for first. Default: 2 hours, in which a message of 50 MiB takes 7 KiB a second. The RFC
    /// names none.
    pub session: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            command: minutes(5),
            body: minutes(5),
            slow_body: minutes(10),
            flush: minutes(5),
            answer: minutes(2),
            override_answer: minutes(120),
            commit: minutes(9),
            sink: minutes(2),
            handshake: minutes(1),
            session: minutes(120),
        }
    }
}

/// What a session is held to while its server is nearly full, where it is stricter than the fields of the same names: the same peers, and
/// less patience with each. A driver says when that is, by [`Session::set_stressed`](crate::Session::set_stressed). What clients were told of, such as
/// the size of a message or the number of recipients, stays.
///
/// This is the stress-adaptive behaviour of Postfix, whose values these are where it has one, but for its limit of one error and one
/// junk command: EHLO, STARTTLS and EHLO again are such commands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stress {
    /// Beside [`Config::timeouts`](crate::Config::timeouts). Default: 10 seconds for a command, more of a body, replies to be read and the handshake, 30 for a message
    /// that comes more slowly than the rate; what the application takes, and the session, as ever. The RFC's floors do not hold: a
    /// client that finds no place has none of them either.
    pub timeouts: Timeouts,
    /// Beside [`Limits::data_rate`]. Default: 500 octets a second.
    pub data_rate: u32,
    /// Beside [`Limits::bad_commands`]. Default: 3.
    pub bad_commands: u32,
    /// Beside [`Limits::idle_commands`]. Default: 10.
    pub idle_commands: u32,
}

impl Default for Stress {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            timeouts: Timeouts {
                command: seconds(10),
                body: seconds(10),
                slow_body: seconds(30),
                flush: seconds(10),
                handshake: seconds(10),
                ..Timeouts::default()
            },
            data_rate: 500,
            bad_commands: 3,
            idle_commands: 10,
        }
    }
}

/// The end of a wait. A wait too long for the clock to tell ends in a hundred years.
pub(crate) fn deadline(now: Instant, patience: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    now.checked_add(patience).unwrap_or_else(|| now + FAR)
}

/// The different domains of the recipients of a session, in small letters.
#[derive(Clone, Default)]
pub(crate) struct Domains(BTreeSet<Box<str>>);

impl std::fmt::Debug for Domains {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Domains({})", self.0.len())
    }
}

impl Domains {
    /// About how much memory they take, of names of ordinary length.
    pub(crate) fn memory(&self) -> usize {
        const ONE: usize = 2 * size_of::<Box<str>>() + 64;
        self.0.len() * ONE
    }

    /// Whether a recipient there would be one domain too many.
    pub(crate) fn is_full_for(&self, limits: &Limits, domain: &str) -> bool {
        let Some(most) = limits.recipient_domains else { return false };
        self.0.len() >= most as usize && !self.0.contains(domain.to_ascii_lowercase().as_str())
    }

    /// A recipient there was accepted.
    pub(crate) fn add(&mut self, limits: &Limits, domain: &str) {
        if limits.recipient_domains.is_some() {
            self.0.insert(domain.to_ascii_lowercase().into_boxed_str());
        }
    }
}

/// Counts down what a peer may do wrong or in vain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Temper {
    bad: u32,
    idle: u32,
    auth: u32,
    /// RCPT and DATA of the same batch that may still be refused.
    followers: u32,
}

impl Temper {
    pub(crate) const fn new(limits: &Limits) -> Self {
        Self { bad: limits.bad_commands, idle: limits.idle_commands, auth: limits.auth_failures, followers: 0 }
    }

    /// What is left is no more than under stress.
    pub(crate) const fn shorten(&mut self, stress: &Stress) {
        if stress.bad_commands < self.bad {
            self.bad = stress.bad_commands;
        }
        if stress.idle_commands < self.idle {
            self.idle = stress.idle_commands;
        }
    }

    /// A command was refused. Gives whether that was one too many.
    pub(crate) const fn bad_command(&mut self) -> bool {
        self.bad = self.bad.saturating_sub(1);
        self.bad == 0
    }

    /// MAIL came: a whole batch may be under way behind it, whether it is accepted or not (RFC 2920 §3.1).
    pub(crate) fn mail(&mut self, limits: &Limits) {
        self.followers = u32::try_from(limits.recipients).unwrap_or(u32::MAX).saturating_add(1);
    }

    /// A RCPT or DATA was refused by the application, or because of what happened before it in its batch. Gives whether that was one
    /// too many.
    pub(crate) const fn follower(&mut self) -> bool {
        let spent = self.followers == 0;
        self.followers = self.followers.saturating_sub(1);
        spent && self.bad_command()
    }

    /// A command did nothing for a message, or a sender or a message was refused. Gives whether that was one too many.
    pub(crate) const fn idle_command(&mut self) -> bool {
        self.idle = self.idle.saturating_sub(1);
        self.idle == 0
    }

    /// An AUTH exchange failed. Gives whether that was one too many.
    pub(crate) const fn auth_failure(&mut self) -> bool {
        self.auth = self.auth.saturating_sub(1);
        self.auth == 0
    }

    /// A message was taken: the peer is at work.
    pub(crate) const fn message(&mut self, idle_commands: u32) {
        self.idle = idle_commands;
    }
}
