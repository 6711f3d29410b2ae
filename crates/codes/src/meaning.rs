//! One of the meanings of a basic reply code.

use crate::{Advice, EnhancedCode, ReplyInfo, Stage, StatusDetail};

/// One of the meanings of a basic reply code: 452 has two, 550 three.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplyMeaning {
    /// A few words.
    pub title: &'static str,
    /// What it tells, in a sentence or two.
    pub meaning: &'static str,
    /// The moments at which a reply has this meaning. Empty: not bound to any.
    pub stages: &'static [Stage],
    /// Subjects of enhanced codes that tell this meaning from the others: 7 for all of X.7.X.
    pub subjects: &'static [u16],
    /// Enhanced codes that tell this meaning from the others, the usual one first.
    pub details: &'static [StatusDetail],
    /// Whether to try again, where it is not as the first digit says. Only 552 for too many recipients has one, which is to be
    /// read as 452 (RFC 5321 §4.5.3.1.10).
    pub retry: Option<bool>,
    /// Who can do what.
    pub advice: Advice,
    /// The RFC and section that says so.
    pub reference: &'static str,
}

impl ReplyMeaning {
    /// Whether a reply at this stage may have this meaning.
    #[must_use]
    pub fn occurs_at(&self, stage: Stage) -> bool {
        self.stages.is_empty() || self.stages.contains(&stage)
    }

    /// How well an enhanced code fits: 2 if it is named, 1 if its subject is.
    fn fit(&self, code: EnhancedCode) -> u8 {
        if self.details.contains(&code.status()) { 2 } else { u8::from(self.subjects.contains(&code.subject())) }
    }
}

impl ReplyInfo {
    /// The meaning that the enhanced code and the stage leave, or `None` if several remain.
    ///
    /// A code with one meaning has that one always. An enhanced code that fits none says nothing.
    ///
    /// ```
    /// use ehlo_codes::{ReplyCode, Stage, Verb, enhanced};
    /// let full = ReplyCode::literal(452).info().unwrap();
    /// assert_eq!(full.meaning_of(None, None), None);
    /// let recipients = full.meaning_of(Some(enhanced::TOO_MANY_RECIPIENTS.transient()), None).unwrap();
    /// assert_eq!(recipients.title, "Too many recipients");
    ///
    /// let ready = ReplyCode::READY.info().unwrap();
    /// let tls = ready.meaning_of(None, Some(Stage::Verb(Verb::Starttls))).unwrap();
    /// assert_eq!(tls.title, "Go ahead with TLS");
    /// ```
    #[must_use]
    pub fn meaning_of(&self, enhanced: Option<EnhancedCode>, stage: Option<Stage>) -> Option<&'static ReplyMeaning> {
        if let [only] = self.meanings {
            return Some(only);
        }
        let possible =
            || self.meanings.iter().filter(move |meaning| stage.is_none_or(|stage| meaning.occurs_at(stage)));
        let fit = |meaning: &ReplyMeaning| enhanced.map_or(0, |code| meaning.fit(code));
        let best = possible().map(fit).max()?;
        if best == 0 {
            // Only the stage decides.
            stage?;
        }
        let mut fitting = possible().filter(|meaning| fit(meaning) == best);
        let first = fitting.next()?;
        // Of several that name the code, one that names it first holds it for the usual one.
        if fitting.next().is_none() {
            return Some(first);
        }
        let status = enhanced?.status();
        let mut usual = possible().filter(|meaning| best == 2 && meaning.details.first() == Some(&status));
        usual.next().filter(|_| usual.next().is_none())
    }
}
