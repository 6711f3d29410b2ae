//! What became of a message, with the words of the server.

use crate::event::BeginError;
use crate::outcome::RecipientOutcome;
use ehlo_codec::{EnhancedCode, ReplyClass, ReplyCode, ReplyView};
use std::fmt;
use std::ops::Range;

/// What became of each recipient of a message, in the order of its envelope.
///
/// Replies are kept once, however many recipients they decide about, up to [`MAX_TEXT`](Self::MAX_TEXT) octets of text; it takes a few bytes for
/// each recipient besides.
#[derive(Clone, Debug, Default)]
pub struct Report {
    fates: Vec<Kept>,
    replies: Vec<KeptReply>,
    texts: String,
    begun: bool,
    /// Somebody asked for a report of success, and the server does not offer DSN: whoever was accepted is to be told of as relayed (RFC 3461
    /// §5.2.2).
    pub without_dsn: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing is decided.
    Open,
    /// It waits for another transaction.
    Waiting,
    Accepted(Option<u32>),
    Refused(ReplyCode, Option<EnhancedCode>, Option<u32>),
    Impossible(BeginError),
    Unsent,
    Unknown,
}

impl Kept {
    pub(crate) const fn of(outcome: RecipientOutcome, reply: Option<u32>) -> Self {
        match outcome {
            RecipientOutcome::Pending => Self::Open,
            RecipientOutcome::Accepted => Self::Accepted(reply),
            RecipientOutcome::Refused { code, enhanced } => Self::Refused(code, enhanced, reply),
            RecipientOutcome::Unsent => Self::Unsent,
            RecipientOutcome::Unknown => Self::Unknown,
        }
    }
}

#[derive(Clone, Debug)]
struct KeptReply {
    code: ReplyCode,
    enhanced: Option<EnhancedCode>,
    text: Range<usize>,
}

/// What became of one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate<'a> {
    /// The server has taken responsibility for it (RFC 5321 §4.2.5), with this reply: a queue's id is in it, mostly.
    Accepted(SavedReply<'a>),
    /// The server refused it, alone or with the whole message.
    Refused(SavedReply<'a>),
    /// The message can't go to this server, and was not sent.
    Impossible(BeginError),
    /// Surely not accepted: the connection ended before the end of data was written, or there was none. May be sent again.
    Unsent,
    /// The end of data was written and no reply came. Whoever sends again may send twice; whoever does not may lose it (RFC 5321 §6.1,
    /// RFC 1047).
    Unknown,
}

impl Fate<'_> {
    /// Whether the server has taken responsibility.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }

    /// Whether trying again later can help: a 4yz reply, or the connection was lost.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Accepted(_) | Self::Impossible(_) => false,
            Self::Refused(reply) => reply.code().class() == ReplyClass::TransientFailure,
            Self::Unsent | Self::Unknown => true,
        }
    }
}

impl fmt::Display for Fate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted(reply) => write!(f, "accepted: {reply}"),
            Self::Refused(reply) if self.is_transient() => write!(f, "deferred: {reply}"),
            Self::Refused(reply) => write!(f, "refused: {reply}"),
            Self::Impossible(error) => write!(f, "not sent: {error}"),
            Self::Unsent => f.write_str("not sent: the connection was lost before"),
            Self::Unknown => {
                f.write_str("unknown: the connection was lost before the server told whether it took the message")
            }
        }
    }
}

/// A reply that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedReply<'a> {
    code: ReplyCode,
    enhanced: Option<EnhancedCode>,
    text: &'a str,
}

impl<'a> SavedReply<'a> {
    /// Its code.
    #[must_use]
    pub const fn code(&self) -> ReplyCode {
        self.code
    }

    /// The enhanced status code at the front of its text, if there is one.
    #[must_use]
    pub const fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The reply as it was on the wire, LF between its lines; bytes that are no text are U+FFFD, control characters `?`.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.text
    }
}

impl fmt::Display for SavedReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A reply whose text was not kept has at least its codes.
        match (self.text.is_empty(), self.enhanced) {
            (false, _) => f.write_str(self.text),
            (true, Some(enhanced)) => write!(f, "{} {enhanced}", self.code),
            (true, None) => write!(f, "{}", self.code),
        }
    }
}

impl Report {
    /// Octets of the texts of all replies that are kept. Of those beyond, the codes are: a server that has a page to say about each recipient does
    /// not fill anybody's memory.
    pub const MAX_TEXT: usize = 64 * 1024;

    /// Kept replies that a new one is compared with.
    const RECENT: usize = 4;

    pub(crate) fn new(recipients: usize) -> Self {
        Self { fates: vec![Kept::Open; recipients], ..Self::default() }
    }

    /// How many recipients there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.fates.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.fates.is_empty()
    }

    /// What became of the recipient of that index in the envelope.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<Fate<'_>> {
        self.fates.get(i).map(|kept| self.fate(*kept))
    }

    /// What became of each, in the order of the envelope.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Fate<'_>> {
        self.fates.iter().map(|kept| self.fate(*kept))
    }

    /// Whether every recipient was accepted.
    #[must_use]
    pub fn all_accepted(&self) -> bool {
        self.fates.iter().all(|kept| matches!(kept, Kept::Accepted(_)))
    }

    /// How many were accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.fates.iter().filter(|kept| matches!(kept, Kept::Accepted(_))).count()
    }

    /// Those for whom nothing was sent, so that they may be sent to over another connection.
    pub fn unsent(&self) -> impl Iterator<Item = usize> {
        self.fates.iter().enumerate().filter(|(_, kept)| **kept == Kept::Unsent).map(|(i, _)| i)
    }

    fn fate(&self, kept: Kept) -> Fate<'_> {
        let saved = |code, enhanced, reply: Option<u32>| match reply.and_then(|reply| self.replies.get(reply as usize))
        {
            Some(kept) => SavedReply { code: kept.code, enhanced: kept.enhanced, text: &self.texts[kept.text.clone()] },
            None => SavedReply { code, enhanced, text: "" },
        };
        match kept {
            Kept::Open | Kept::Waiting | Kept::Unsent => Fate::Unsent,
            Kept::Accepted(reply) => Fate::Accepted(saved(ReplyCode::OK, None, reply)),
            Kept::Refused(code, enhanced, reply) => Fate::Refused(saved(code, enhanced, reply)),
            Kept::Impossible(error) => Fate::Impossible(error),
            Kept::Unknown => Fate::Unknown,
        }
    }

    /// Takes what a report about some of the recipients says of them.
    pub fn merge(&mut self, places: &[usize], other: &Self) {
        let replies = self.replies.len() as u32;
        for reply in &other.replies {
            let (text, start) = (&other.texts[reply.text.clone()], self.texts.len());
            // However many connections it takes, what is kept of their words is bounded.
            if start + text.len() <= Self::MAX_TEXT {
                self.texts.push_str(text);
            }
            self.replies.push(KeptReply { text: start..self.texts.len(), ..reply.clone() });
        }
        let renumbered = |reply: Option<u32>| reply.map(|reply| reply + replies);
        for (place, kept) in places.iter().zip(&other.fates) {
            let kept = match *kept {
                Kept::Accepted(reply) => Kept::Accepted(renumbered(reply)),
                Kept::Refused(code, enhanced, reply) => Kept::Refused(code, enhanced, renumbered(reply)),
                other => other,
            };
            self.set(*place, kept);
        }
        self.without_dsn |= other.without_dsn;
    }

    pub(crate) const fn is_begun(&self) -> bool {
        self.begun
    }

    pub(crate) const fn begin(&mut self) {
        self.begun = true;
    }

    pub(crate) fn is_open(&self, place: usize) -> bool {
        self.fates.get(place) == Some(&Kept::Open)
    }

    pub(crate) fn set(&mut self, place: usize, kept: Kept) {
        if let Some(one) = self.fates.get_mut(place) {
            *one = kept;
        }
    }

    /// Keeps a reply.
    pub(crate) fn keep(&mut self, reply: Option<ReplyView<'_>>) -> Option<u32> {
        use fmt::Write as _;
        let reply = reply?;
        let start = self.texts.len();
        // "250 " and the line feed; what is no text takes more.
        self.texts.reserve(reply.lines().map(|line| line.len() + 5).sum());
        // A String takes whatever there is.
        let _ = write!(self.texts, "{reply}");
        let (code, enhanced) = (reply.code(), reply.enhanced());
        // Many are refused in the same words, one behind the other or in turns.
        let same = |kept: &KeptReply| kept.code == code && self.texts[kept.text.clone()] == self.texts[start..];
        let recent = self.replies.len().saturating_sub(Self::RECENT);
        if let Some(at) = self.replies[recent..].iter().position(same) {
            self.texts.truncate(start);
            return u32::try_from(recent + at).ok();
        }
        if self.texts.len() > Self::MAX_TEXT {
            self.texts.truncate(start);
        }
        self.replies.push(KeptReply { code, enhanced, text: start..self.texts.len() });
        u32::try_from(self.replies.len() - 1).ok()
    }

    /// Whoever waits can't be sent to.
    pub(crate) fn refuse_all(&mut self, error: BeginError) {
        self.begun = true;
        self.replace(Kept::Impossible(error));
    }

    /// Whoever waits was not sent to.
    pub(crate) fn close(&mut self) {
        self.replace(Kept::Unsent);
    }

    fn replace(&mut self, with: Kept) {
        self.fates.iter_mut().filter(|kept| matches!(kept, Kept::Open | Kept::Waiting)).for_each(|kept| *kept = with);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_many_connections_keep_no_more_text_than_one() {
        let mut part = Report::new(1);
        part.texts = "550 no".repeat(1000);
        let text = 0..part.texts.len();
        part.replies.push(KeptReply { code: ReplyCode::OK, enhanced: None, text });
        part.set(0, Kept::Accepted(Some(0)));
        let mut whole = Report::new(100);
        for place in 0..100 {
            whole.merge(&[place], &part);
        }
        assert!(whole.texts.len() <= Report::MAX_TEXT, "{} octets", whole.texts.len());
        assert!(whole.get(0).unwrap().to_string().starts_with("accepted: 550 no"));
        assert_eq!(whole.get(99).unwrap().to_string(), "accepted: 250", "its code is kept");
    }
}
