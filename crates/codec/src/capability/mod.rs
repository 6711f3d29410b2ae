//! What a server offers (RFC 5321 §4.1.1.1 `ehlo-ok-rsp`).

mod ehlo_reply;
mod extension;
mod keyword;
mod limits;
mod mechanism;
mod pattern;
mod summary;
#[cfg(test)]
mod tests;
mod value;
mod words;
mod write;

pub use ehlo_reply::{EhloError, EhloReply};
pub use extension::Extension;
pub use limits::{Limit, Limits};
pub use mechanism::{AuthMechanism, AuthMechanisms};
pub use value::{Capability, CapabilityError, FutureRelease};
pub use words::{Auth, Words};
pub use write::{EhloWriteError, write_ehlo_reply};

use crate::reply_reader::ReplyView;
use alloc::string::String;
use summary::Summary;

/// What a server said it offers, kept: an [`EhloReply`] with its own text. Keywords that nobody here knows are kept too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    summary: Summary,
    /// The reply's texts, LF between lines: the server's name and greeting, then a keyword a line. ASCII.
    text: String,
}

impl Capabilities {
    /// Keeps the reply to EHLO. A line that does not fit the grammar is passed over: it offers nothing.
    #[must_use]
    pub fn from_reply(reply: &ReplyView<'_>) -> Self {
        match crate::text::ascii(reply.text()) {
            Some(text) => Self::from_text(text.into()),
            None => (&EhloReply::from_view(reply)).into(),
        }
    }

    fn from_text(text: String) -> Self {
        let summary = EhloReply::from_text(&text).summary();
        Self { summary, text }
    }

    /// The same, borrowed: with all that can be asked of it.
    #[must_use]
    pub fn as_reply(&self) -> EhloReply<'_> {
        EhloReply::with_summary(&self.text, self.summary)
    }

    /// Whether the server offers it.
    #[must_use]
    pub const fn has(&self, extension: Extension) -> bool {
        self.summary.has(extension)
    }

    /// The largest message that the server takes, in octets, if it names one (RFC 1870 §4); see [`EhloReply::max_size`].
    #[must_use]
    pub fn max_size(&self) -> Option<u64> {
        self.as_reply().max_size()
    }

    /// The mechanisms of AUTH; see [`EhloReply::auth`].
    #[must_use]
    pub fn auth(&self) -> Option<Auth<'_>> {
        self.as_reply().auth()
    }

    /// Those mechanisms of AUTH that are of the registry; see [`EhloReply::mechanisms`].
    #[must_use]
    pub const fn mechanisms(&self) -> AuthMechanisms {
        self.summary.mechanisms
    }

    /// The limits of this session; see [`EhloReply::limits`].
    #[must_use]
    pub fn limits(&self) -> Limits<'_> {
        self.as_reply().limits()
    }

    /// The least time for DELIVERBY with return, in seconds; see [`EhloReply::deliver_by`].
    #[must_use]
    pub fn deliver_by(&self) -> Option<u32> {
        self.as_reply().deliver_by()
    }

    /// How far ahead a message may be held; see [`EhloReply::future_release`].
    #[must_use]
    pub fn future_release(&self) -> Option<FutureRelease> {
        self.as_reply().future_release()
    }

    /// The name of the priority policy; see [`EhloReply::mt_priority`].
    #[must_use]
    pub fn mt_priority(&self) -> Option<&str> {
        self.as_reply().mt_priority()
    }

    /// The kinds of solicitation that are not wanted; see [`EhloReply::no_soliciting`].
    #[must_use]
    pub fn no_soliciting(&self) -> Option<Words<'_>> {
        self.as_reply().no_soliciting()
    }

    /// The options of BURL; see [`EhloReply::burl`].
    #[must_use]
    pub fn burl(&self) -> Option<Words<'_>> {
        self.as_reply().burl()
    }

    /// The attributes that XCLIENT takes; see [`EhloReply::xclient`].
    #[must_use]
    pub fn xclient(&self) -> Option<Words<'_>> {
        self.as_reply().xclient()
    }

    /// The attributes that XFORWARD takes; see [`EhloReply::xforward`].
    #[must_use]
    pub fn xforward(&self) -> Option<Words<'_>> {
        self.as_reply().xforward()
    }

    /// The server's own name and greeting: the first line.
    #[must_use]
    pub fn greeting(&self) -> &str {
        self.as_reply().greeting()
    }

    /// The server's own name; see [`EhloReply::domain`].
    #[must_use]
    pub fn domain(&self) -> &str {
        self.as_reply().domain()
    }

    /// Each keyword with its parameters, known or not, as they came.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.as_reply().lines()
    }

    /// What each line offers; see [`EhloReply::capabilities`].
    pub fn capabilities(&self) -> impl Iterator<Item = Capability<'_>> {
        self.as_reply().capabilities()
    }
}

impl From<&EhloReply<'_>> for Capabilities {
    fn from(reply: &EhloReply<'_>) -> Self {
        let mut text = String::from(reply.greeting());
        for line in reply.lines() {
            text.push('\n');
            text.push_str(line);
        }
        Self::from_text(text)
    }
}
