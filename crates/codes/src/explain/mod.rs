//! What a reply means, read as people meet it: in a log, in a bounce, in a mail program.
//!
//! [`Explanation::of`] reads `550`, `5.7.1`, `X.7.1`, `501 5.5.4`, `452-4.2.2 text`, a reply of several lines, or a line of a report
//! such as `Diagnostic-Code: smtp; 550 5.1.1 no such user`, and tells what the registry knows about it. It borrows from its input and
//! allocates nothing; the time it takes is linear in the length of the input.
//!
//! ```
//! use ehlo_codes::explain::{Explanation, Verdict};
//! use ehlo_codes::Party;
//!
//! let bounce = Explanation::of(b"552-5.2.2 mailbox full\r\n552 5.2.2 try later").unwrap();
//! assert_eq!(bounce.reply().map(|code| code.get()), Some(552));
//! assert_eq!(bounce.meaning().map(|meaning| meaning.title), Some("Mailbox full"));
//! assert_eq!(bounce.verdict(), Verdict::DoNotRetry);
//! assert_eq!(bounce.advice().map(|advice| advice.first), Some(Party::Recipient));
//!
//! // RFC 5321 §4.5.3.1.10: for too many recipients 552 is to be read as 452.
//! assert_eq!(Explanation::of(b"552 5.5.3 too many recipients").unwrap().verdict(), Verdict::RetryLater);
//! ```

mod digits;
mod read;
mod remark;

use core::fmt;

pub use digits::{Digit, Digits};
pub use remark::Remark;

use crate::{
    Advice, ClassInfo, EnhancedCode, EnhancedInfo, Faults, ReplyClass, ReplyCode, ReplyInfo, ReplyMeaning, Stage,
    StageReply, StatusDetail, SubjectInfo, VendorCode,
};
use read::Reading;

/// What the registry knows about a reply, or about an enhanced code alone.
#[derive(Clone, Copy, Debug)]
pub struct Explanation<'t> {
    reading: Reading<'t>,
}

impl<'t> Explanation<'t> {
    /// Reads the codes out of a reply or of a line that quotes one.
    ///
    /// Any bytes are taken. In text that only quotes a reply, a number counts as a code if its place or an enhanced code behind it
    /// tells so, since ports and sizes look the same.
    ///
    /// # Errors
    ///
    /// [`NoCode`] if there is neither a reply code nor an enhanced code.
    pub fn of(reply: &'t [u8]) -> Result<Self, NoCode> {
        read::read(reply).map(|reading| Self { reading }).ok_or(NoCode)
    }

    /// The explanation of codes that were read already. With neither there is nothing to explain: `None`.
    #[must_use]
    pub fn of_codes(reply: Option<ReplyCode>, enhanced: Option<EnhancedCode>) -> Option<Explanation<'static>> {
        let status = enhanced.map(EnhancedCode::status);
        let class = enhanced.map(EnhancedCode::class);
        (reply.is_some() || enhanced.is_some())
            .then_some(Explanation { reading: Reading { reply, class, status, within: false, input: b"", text: b"" } })
    }

    /// The reply code.
    #[must_use]
    pub const fn reply(&self) -> Option<ReplyCode> {
        self.reading.reply
    }

    /// The enhanced code, if it has a class: `X.7.1` has none.
    #[must_use]
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        let (class, status) = (self.reading.class?, self.reading.status?);
        EnhancedCode::new(class, status.subject(), status.detail())
    }

    /// Subject and detail of the enhanced code.
    #[must_use]
    pub const fn status(&self) -> Option<StatusDetail> {
        self.reading.status
    }

    /// What stands behind the codes, on the first line of a reply with several.
    #[must_use]
    pub const fn text(&self) -> &'t [u8] {
        self.reading.text
    }

    /// What the registry holds about the reply code.
    #[must_use]
    pub fn reply_info(&self) -> Option<&'static ReplyInfo> {
        self.reading.reply?.info()
    }

    /// What the registry holds about subject and detail.
    #[must_use]
    pub fn enhanced_info(&self) -> Option<&'static EnhancedInfo> {
        self.reading.status?.info()
    }

    /// What the registry holds about the class of the enhanced code.
    #[must_use]
    pub fn class_info(&self) -> Option<&'static ClassInfo> {
        self.enhanced()?.class_info()
    }

    /// What the registry holds about the subject of the enhanced code.
    #[must_use]
    pub fn subject_info(&self) -> Option<&'static SubjectInfo> {
        let status = self.reading.status?;
        status.success().subject_info()
    }

    /// The three digits of the reply code one by one: all there is to say about a code that nobody registered.
    #[must_use]
    pub fn digits(&self) -> Option<Digits> {
        self.reading.reply.map(Digits::of)
    }

    /// All meanings of the reply code, the usual one first; none if it is not registered.
    #[must_use]
    pub fn meanings(&self) -> &'static [ReplyMeaning] {
        self.reply_info().map_or(&[], |info| info.meanings)
    }

    /// The meaning that the enhanced code leaves, or `None` if several remain.
    #[must_use]
    pub fn meaning(&self) -> Option<&'static ReplyMeaning> {
        self.meaning_at(None)
    }

    /// The meaning that the enhanced code and the stage leave, or `None` if several remain.
    #[must_use]
    pub fn meaning_at(&self, stage: Option<Stage>) -> Option<&'static ReplyMeaning> {
        self.reply_info()?.meaning_of(self.enhanced(), stage)
    }

    /// The stages at which this reply code may come, apart from what any command may get: see [`any_command`](Self::any_command).
    pub fn stages(&self) -> impl Iterator<Item = (Stage, &'static StageReply)> + Clone + use<> {
        let code = self.reading.reply;
        Stage::ALL.iter().filter_map(move |stage| {
            let code = code?;
            stage.replies().iter().find(|reply| reply.code == code).map(|reply| (*stage, reply))
        })
    }

    /// Whether any command may get this reply code ([`Stage::EVERY_COMMAND`]).
    #[must_use]
    pub fn any_command(&self) -> bool {
        Stage::EVERY_COMMAND.iter().any(|reply| Some(reply.code) == self.reading.reply)
    }

    /// What large providers mean by the enhanced code.
    pub fn vendors(&self) -> impl Iterator<Item = &'static VendorCode> + Clone + use<> {
        let reply = self.reading.reply;
        self.enhanced().into_iter().flat_map(move |code| VendorCode::find(code, reply))
    }

    /// What is wrong with the codes, wherever they came.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::of(self.reading.reply, self.enhanced())
    }

    /// What is worth knowing beyond the meaning: codes that disagree, dots that were left out, and the like.
    pub fn remarks(&self) -> impl Iterator<Item = Remark> + use<'t> {
        remark::remarks(*self)
    }

    /// Whether to try again.
    ///
    /// The reply code decides, as it does for a client (RFC 5321 §4.2.1); without one, the class of the enhanced code.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let retry = self.meaning().and_then(|meaning| meaning.retry);
        match (retry, self.reading.reply.map(ReplyCode::class), self.reading.class) {
            (Some(true), ..) => Verdict::RetryLater,
            (Some(false), ..) => Verdict::DoNotRetry,
            (None, Some(ReplyClass::Completion), _) | (None, None, Some(2)) => Verdict::Done,
            (None, Some(ReplyClass::Intermediate), _) => Verdict::GoOn,
            (None, Some(ReplyClass::TransientFailure), _) | (None, None, Some(4)) => Verdict::RetryLater,
            (None, Some(ReplyClass::PermanentFailure), _) | (None, None, Some(5)) => Verdict::DoNotRetry,
            _ => Verdict::Unclear,
        }
    }

    /// Who can do what, or `None` if it depends on which of several meanings it is, or nothing is known.
    ///
    /// The enhanced code decides if it is registered, else the reply code, else the subject of the enhanced code.
    #[must_use]
    pub fn advice(&self) -> Option<&'static Advice> {
        let of_reply = self.meaning().map(|meaning| &meaning.advice);
        let Some(info) = self.enhanced_info() else {
            let of_subject = || {
                let status = self.reading.status?;
                StatusDetail::new(status.subject(), 0)?.info().map(|info| &info.advice)
            };
            return of_reply.or_else(of_subject);
        };
        // "Other" says less than the reply code, and so does a detail with a class that its definition has not in mind.
        let vague = info.status.detail() == 0 || self.reading.class.is_some_and(|class| !info.classes.contains(&class));
        match (vague, self.verdict()) {
            (false, _) => Some(&info.advice),
            // Where it worked, what to do about a failure is no answer.
            (true, Verdict::Done) => of_reply.or_else(|| self.meanings().first().map(|meaning| &meaning.advice)),
            (true, _) => of_reply.or(Some(&info.advice)),
        }
    }
}

/// Whether to try again.
///
/// Exhaustive on purpose: a sender has these choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It worked.
    Done,
    /// The server waits for the rest.
    GoOn,
    /// A transient failure: the same can succeed later.
    RetryLater,
    /// A permanent failure: the same will fail again.
    DoNotRetry,
    /// The codes do not say.
    Unclear,
}

impl Verdict {
    /// One or two lower-case words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "success",
            Self::GoOn => "intermediate",
            Self::RetryLater => "transient",
            Self::DoNotRetry => "permanent",
            Self::Unclear => "unclear",
        }
    }

    /// What it asks of the sending side, as a sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Done => "It worked.",
            Self::GoOn => "The server agrees so far and waits for the rest.",
            Self::RetryLater => "A transient failure: keep the message and try again later.",
            Self::DoNotRetry => "A permanent failure: the same will fail again, so something must change first.",
            Self::Unclear => "The codes do not tell whether to try again.",
        }
    }

    /// Whether to try again; `None` if there is nothing to try, or nothing is known.
    #[must_use]
    pub const fn retry(self) -> Option<bool> {
        match self {
            Self::RetryLater => Some(true),
            Self::DoNotRetry => Some(false),
            Self::Done | Self::GoOn | Self::Unclear => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// There is neither a reply code nor an enhanced code in what was to be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoCode;

impl fmt::Display for NoCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither a reply code such as 550 nor an enhanced status code such as 5.7.1")
    }
}

impl core::error::Error for NoCode {}
