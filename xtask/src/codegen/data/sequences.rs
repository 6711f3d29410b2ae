//! Which reply may come at which stage, and what its text carries.

use super::Verb;
use super::cells::{Cells, reply_code, reply_codes};
use crate::codegen::DATA;

/// The rows of `sequences.tsv` that share a stage.
pub(crate) struct Stage {
    pub(crate) stage: String,
    /// Rising by code; each with the reference that allows it.
    pub(crate) replies: Vec<(u16, String)>,
    /// The replies whose text carries something, and the variant of the crate's `ReplyText` that tells what.
    pub(crate) texts: Vec<(u16, &'static str)>,
}

/// A row of `sequences.tsv` for all commands but some.
pub(crate) struct Shared {
    pub(crate) left_out: Vec<String>,
    pub(crate) codes: Vec<u16>,
    pub(crate) reference: String,
}

impl Shared {
    /// Whether a stage has a reply only because of this row.
    pub(crate) fn gives(&self, stage: &Stage, code: u16) -> bool {
        stage.is_command()
            && !self.left_out.contains(&stage.stage)
            && stage.replies.iter().any(|reply| *reply == (code, self.reference.clone()))
            && self.codes.contains(&code)
    }
}

/// Stages that are no verb, and the variants of the crate's `Stage` they belong to.
/// `every-command` comes first: it is no stage, but what all commands share.
pub(crate) const SPECIAL_STAGES: &[(&str, &str)] = &[
    ("every-command", ""),
    ("connect", "Connect"),
    ("unknown-verb", "UnknownVerb"),
    ("data-end", "DataEnd"),
    ("auth-response", "AuthResponse"),
];

/// A row of `sequences.tsv` as it stands there.
pub(super) struct Sequence {
    stage: String,
    codes: Vec<u16>,
    reference: String,
}

pub(super) fn sequence(cells: &mut Cells<'_>) -> Result<Sequence, String> {
    Ok(Sequence { stage: cells.text()?, codes: reply_codes(cells.next()?)?, reference: cells.reference()? })
}

/// Rows of a stage joined: special stages first, then every verb in the order of `verbs.tsv`.
pub(super) fn stages(rows: Vec<Sequence>, verbs: &[Verb]) -> Result<(Vec<Stage>, Vec<Shared>), String> {
    let special = SPECIAL_STAGES.iter().map(|(stage, _)| *stage);
    let mut stages: Vec<Stage> = special
        .chain(verbs.iter().map(|verb| verb.name.as_str()))
        .map(|stage| Stage { stage: stage.to_owned(), replies: Vec::new(), texts: Vec::new() })
        .collect();
    let (shared, own): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.stage.starts_with("commands"));
    for row in own {
        let stage = stages
            .iter_mut()
            .find(|stage| stage.stage == row.stage)
            .ok_or_else(|| format!("{DATA}/sequences.tsv: {:?} is neither a verb nor a special stage", row.stage))?;
        for code in row.codes {
            if !stage.add(code, &row.reference) {
                return Err(format!("{DATA}/sequences.tsv: {}: {code} occurs twice", row.stage));
            }
        }
    }
    let shared: Vec<Shared> = shared
        .into_iter()
        .map(|row| {
            left_out(&row.stage, verbs).map(|left_out| Shared { left_out, codes: row.codes, reference: row.reference })
        })
        .collect::<Result<_, _>>()?;
    for row in &shared {
        for stage in stages.iter_mut().filter(|stage| stage.is_command() && !row.left_out.contains(&stage.stage)) {
            for code in &row.codes {
                stage.add(*code, &row.reference);
            }
        }
    }
    for stage in &mut stages {
        stage.replies.sort();
        if stage.replies.is_empty() {
            return Err(format!("{DATA}/sequences.tsv: no reply for {}", stage.stage));
        }
    }
    Ok((stages, shared))
}

/// What a text may carry, and the variants of the crate's `ReplyText`.
const TEXTS: &[(&str, &str)] = &[
    ("domain", "Domain"),
    ("capabilities", "Capabilities"),
    ("forward-path", "ForwardPath"),
    ("mailbox", "Mailbox"),
    ("challenge", "Challenge"),
    ("offset", "Offset"),
];

/// A row of `texts.tsv`.
pub(super) struct TextRow {
    stage: String,
    code: u16,
    text: &'static str,
}

pub(super) fn text(cells: &mut Cells<'_>) -> Result<TextRow, String> {
    let stage = cells.text()?;
    let code = reply_code(cells.next()?)?;
    let name = cells.next()?;
    let (_, text) =
        TEXTS.iter().find(|(known, _)| *known == name).ok_or_else(|| format!("unknown kind of text {name:?}"))?;
    cells.reference()?;
    Ok(TextRow { stage, code, text })
}

/// Puts the texts where they belong.
pub(super) fn attach(rows: Vec<TextRow>, stages: &mut [Stage]) -> Result<(), String> {
    for row in rows {
        let wrong = |what: &str| format!("{DATA}/texts.tsv: {} {}: {what}", row.stage, row.code);
        let stage = stages.iter_mut().find(|stage| stage.stage == row.stage).ok_or_else(|| wrong("unknown stage"))?;
        if stage.replies.iter().all(|(code, _)| *code != row.code) {
            return Err(wrong("not a reply of that stage"));
        }
        if stage.texts.iter().any(|(code, _)| *code == row.code) {
            return Err(wrong("occurs twice"));
        }
        stage.texts.push((row.code, row.text));
    }
    Ok(())
}

/// The verbs behind `commands`, each with a minus sign.
fn left_out(stage: &str, verbs: &[Verb]) -> Result<Vec<String>, String> {
    stage
        .split(' ')
        .skip(1)
        .map(|word| {
            let verb = word.strip_prefix('-').filter(|verb| verbs.iter().any(|row| row.name == *verb));
            verb.map(str::to_owned)
                .ok_or_else(|| format!("{DATA}/sequences.tsv: {word:?} is not a verb with a minus sign"))
        })
        .collect()
}

impl Stage {
    /// Adds a reply unless its code is there, and says whether it was added.
    fn add(&mut self, code: u16, reference: &str) -> bool {
        let new = self.replies.iter().all(|(known, _)| *known != code);
        if new {
            self.replies.push((code, reference.to_owned()));
        }
        new
    }

    /// The variant of what the text of a reply carries.
    pub(crate) fn text(&self, code: u16) -> &'static str {
        self.texts.iter().find(|(known, _)| *known == code).map_or("Free", |(_, text)| text)
    }

    fn is_command(&self) -> bool {
        self.stage == "unknown-verb" || SPECIAL_STAGES.iter().all(|(special, _)| *special != self.stage)
    }
}
