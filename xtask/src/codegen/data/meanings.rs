//! What a reply code means in one of its uses, and who can do what about it.

use super::cells::{Cells, number, status};
use super::{Reply, Stage};
use crate::codegen::DATA;

/// What each party can do.
pub(crate) struct Advice {
    /// The variant of the crate's `Party`.
    pub(crate) first: &'static str,
    pub(crate) sender: Option<String>,
    pub(crate) recipient: Option<String>,
    pub(crate) postmaster: Option<String>,
}

/// A row of `senses.tsv`.
pub(crate) struct Sense {
    code: u16,
    /// `None`: that of the code.
    pub(crate) title: Option<String>,
    pub(crate) meaning: Option<String>,
    /// Names as in `sequences.tsv`. Empty: anywhere.
    pub(crate) stages: Vec<String>,
    /// Every code of these subjects goes with it.
    pub(crate) subjects: Vec<u16>,
    /// Subject and detail, the usual one first.
    pub(crate) details: Vec<(u16, u16)>,
    /// Which of them all is the usual one: a subject, and perhaps a detail.
    pub(crate) usual: Option<(u16, Option<u16>)>,
    /// Where it is not as the first digit says.
    pub(crate) retry: Option<bool>,
    pub(crate) advice: Advice,
    pub(crate) reference: Option<String>,
}

const PARTIES: &[(&str, &str)] =
    &[("sender", "Sender"), ("recipient", "Recipient"), ("postmaster", "Postmaster"), ("nobody", "Nobody")];

pub(super) fn advice(cells: &mut Cells<'_>) -> Result<Advice, String> {
    let name = cells.next()?;
    let (_, first) =
        PARTIES.iter().find(|(known, _)| *known == name).ok_or_else(|| format!("unknown party {name:?}"))?;
    Ok(Advice { first, sender: cells.optional()?, recipient: cells.optional()?, postmaster: cells.optional()? })
}

pub(super) fn sense(cells: &mut Cells<'_>) -> Result<Sense, String> {
    // Unlike elsewhere a first digit of 1 is allowed: see replies.tsv.
    let code = number(cells.next()?)?;
    let (title, meaning) = (cells.optional()?, cells.optional()?);
    if title.is_some() != meaning.is_some() {
        return Err("title and meaning are given or left out together".into());
    }
    let stages = cells.words()?;
    let (mut subjects, mut details, mut usual) = (Vec::new(), Vec::new(), None);
    for word in cells.words()? {
        let (subject, detail) = match word.strip_prefix("X.") {
            Some(subject) if !subject.contains('.') => (number(subject)?, None),
            _ => status(&word).map(|(subject, detail)| (subject, Some(detail)))?,
        };
        match detail {
            None => subjects.push(subject),
            Some(detail) => details.push((subject, detail)),
        }
        usual = usual.or(Some((subject, detail)));
    }
    let retry = match cells.next()? {
        "-" => None,
        "yes" => Some(true),
        "no" => Some(false),
        other => return Err(format!("{other:?} is none of yes, no and -")),
    };
    let advice = advice(cells)?;
    let reference = match cells.next()? {
        "-" => None,
        text => Some(super::cells::reference(text)?),
    };
    Ok(Sense { code, title, meaning, stages, subjects, details, usual, retry, advice, reference })
}

/// Gives each reply its senses. Those of one code stand together; one that stands alone may leave its texts to the code.
pub(super) fn attach(senses: Vec<Sense>, replies: &mut [Reply], stages: &[Stage]) -> Result<(), String> {
    let mut last = 0;
    for sense in senses {
        let wrong = |what: String| format!("{DATA}/senses.tsv: {}: {what}", sense.code);
        if sense.code < last {
            return Err(wrong("does not rise".into()));
        }
        last = sense.code;
        for name in &sense.stages {
            if stages.iter().all(|stage| stage.stage != *name) {
                return Err(wrong(format!("{name:?} is not a stage")));
            }
        }
        let reply = replies
            .iter_mut()
            .find(|reply| reply.code == sense.code)
            .ok_or_else(|| wrong("is not in replies.tsv".into()))?;
        reply.senses.push(sense);
    }
    for reply in replies {
        let wrong = |what: &str| Err(format!("{DATA}/senses.tsv: {}: {what}", reply.code));
        match reply.senses.as_slice() {
            [] => return wrong("no row"),
            [_] => {}
            several if several.iter().all(|sense| sense.title.is_some()) => {}
            _ => return wrong("one meaning of several lacks a title"),
        }
    }
    Ok(())
}
