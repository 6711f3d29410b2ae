//! The tables, read and checked. Every complaint names the file and the line.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::codegen::DATA;

mod cells;
mod meanings;
mod sequences;
mod tables;

use cells::{Cells, constant, number, numbers, reply_codes, rising, rows, status, unique};
pub(crate) use meanings::{Advice, Sense};
pub(crate) use sequences::{SPECIAL_STAGES, Shared, Stage};
pub(crate) use tables::{Extension, Mechanism, Parameter, Vendor, With};

/// All tables.
pub(crate) struct Registry {
    pub(crate) replies: Vec<Reply>,
    pub(crate) classes: Vec<Class>,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) details: Vec<Detail>,
    pub(crate) verbs: Vec<Verb>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) shared: Vec<Shared>,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) mechanisms: Vec<Mechanism>,
    pub(crate) withs: Vec<With>,
    pub(crate) vendors: Vec<Vendor>,
}

/// A row of `replies.tsv`.
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) name: Option<String>,
    pub(crate) title: String,
    pub(crate) meaning: String,
    pub(crate) advice: String,
    pub(crate) note: Option<String>,
    pub(crate) reference: String,
    pub(crate) standing: Standing,
    /// The rows of `senses.tsv` with this code, at least one.
    pub(crate) senses: Vec<Sense>,
}

/// A row of `classes.tsv`.
pub(crate) struct Class {
    pub(crate) class: u16,
    pub(crate) title: String,
    pub(crate) meaning: String,
    pub(crate) reference: String,
}

/// A row of `subjects.tsv`.
pub(crate) struct Subject {
    pub(crate) subject: u16,
    pub(crate) title: String,
    pub(crate) meaning: String,
    pub(crate) reference: String,
}

/// A row of `enhanced.tsv`.
pub(crate) struct Detail {
    pub(crate) subject: u16,
    pub(crate) detail: u16,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) meaning: String,
    /// Empty: the definition names none.
    pub(crate) classes: Vec<u16>,
    pub(crate) replies: Associated,
    pub(crate) advice: Advice,
    pub(crate) reference: String,
    pub(crate) standing: Standing,
}

/// The basic codes that a registration names.
pub(crate) enum Associated {
    NotGiven,
    Any,
    Codes(Vec<u16>),
}

impl Associated {
    pub(crate) fn codes(&self) -> &[u16] {
        match self {
            Self::Codes(codes) => codes,
            Self::NotGiven | Self::Any => &[],
        }
    }
}

/// A row of `verbs.tsv`.
pub(crate) struct Verb {
    pub(crate) name: String,
    pub(crate) meaning: String,
    pub(crate) keyword: Option<String>,
    pub(crate) reference: String,
    pub(crate) standing: Standing,
}

/// The last column of most tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Standard,
    Experimental,
    RegistryOnly,
    Obsolete,
    Nonstandard,
}

impl Standing {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "standard" => Self::Standard,
            "experimental" => Self::Experimental,
            "registry-only" => Self::RegistryOnly,
            "obsolete" => Self::Obsolete,
            "nonstandard" => Self::Nonstandard,
            _ => return Err(format!("unknown standing {text:?}")),
        })
    }

    /// The variant in the crate.
    pub(crate) fn variant(self) -> &'static str {
        match self {
            Self::Standard => "Standard",
            Self::Experimental => "Experimental",
            Self::RegistryOnly => "RegistryOnly",
            Self::Obsolete => "Obsolete",
            Self::Nonstandard => "Nonstandard",
        }
    }

    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Experimental => "experimental",
            Self::RegistryOnly => "registry only",
            Self::Obsolete => "obsolete",
            Self::Nonstandard => "nonstandard",
        }
    }
}

impl Registry {
    /// Reads and checks the tables of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let load = |name: &str| {
            fs::read_to_string(folder.join(name)).map_err(|error| format!("{DATA}/{name}: cannot be read: {error}"))
        };
        let mut replies = rows("replies.tsv", &load("replies.tsv")?, reply)?;
        rising("replies.tsv", replies.iter().map(|row| row.code))?;
        unique("replies.tsv", "name", replies.iter().filter_map(|row| row.name.as_deref()))?;
        let classes = rows("classes.tsv", &load("classes.tsv")?, class)?;
        rising("classes.tsv", classes.iter().map(|row| row.class))?;
        let subjects = rows("subjects.tsv", &load("subjects.tsv")?, subject)?;
        if subjects.iter().enumerate().any(|(position, row)| usize::from(row.subject) != position) {
            return Err(format!("{DATA}/subjects.tsv: subjects must rise from 0 without a gap"));
        }
        let details = rows("enhanced.tsv", &load("enhanced.tsv")?, detail)?;
        rising("enhanced.tsv", details.iter().map(|row| (row.subject, row.detail)))?;
        unique("enhanced.tsv", "name", details.iter().map(|row| row.name.as_str()))?;
        let verbs = rows("verbs.tsv", &load("verbs.tsv")?, verb)?;
        unique("verbs.tsv", "verb", verbs.iter().map(|row| row.name.as_str()))?;
        let sequences = rows("sequences.tsv", &load("sequences.tsv")?, sequences::sequence)?;
        let (mut stages, shared) = sequences::stages(sequences, &verbs)?;
        sequences::attach(rows("texts.tsv", &load("texts.tsv")?, sequences::text)?, &mut stages)?;
        meanings::attach(rows("senses.tsv", &load("senses.tsv")?, meanings::sense)?, &mut replies, &stages)?;
        let extensions = rows("extensions.tsv", &load("extensions.tsv")?, tables::extension)?;
        unique("extensions.tsv", "keyword", extensions.iter().map(|row| row.keyword.as_str()))?;
        let parameters = rows("parameters.tsv", &load("parameters.tsv")?, tables::parameter)?;
        let mechanisms = rows("sasl.tsv", &load("sasl.tsv")?, tables::mechanism)?;
        unique("sasl.tsv", "name", mechanisms.iter().map(|row| row.name.as_str()))?;
        let withs = rows("with.tsv", &load("with.tsv")?, tables::with)?;
        unique("with.tsv", "name", withs.iter().map(|row| row.name.as_str()))?;
        let vendors = rows("vendor.tsv", &load("vendor.tsv")?, tables::vendor)?;
        let registry = Self {
            replies,
            classes,
            subjects,
            details,
            verbs,
            stages,
            shared,
            extensions,
            parameters,
            mechanisms,
            withs,
            vendors,
        };
        registry.check_references()?;
        Ok(registry)
    }

    /// The details whose registration names a basic code.
    pub(crate) fn details_of(&self, code: u16) -> impl Iterator<Item = &Detail> {
        self.details.iter().filter(move |row| row.replies.codes().contains(&code))
    }

    /// Tables that point into each other.
    fn check_references(&self) -> Result<(), String> {
        let known: BTreeSet<u16> = self.replies.iter().map(|row| row.code).collect();
        for row in &self.details {
            if usize::from(row.subject) >= self.subjects.len() {
                return Err(format!(
                    "{DATA}/enhanced.tsv: X.{}.{}: subject not in subjects.tsv",
                    row.subject, row.detail
                ));
            }
            if let Some(code) = row.replies.codes().iter().find(|code| !known.contains(code)) {
                return Err(format!(
                    "{DATA}/enhanced.tsv: X.{}.{}: {code} is not in replies.tsv",
                    row.subject, row.detail
                ));
            }
            if let Some(class) = row.classes.iter().find(|class| self.classes.iter().all(|row| row.class != **class)) {
                return Err(format!(
                    "{DATA}/enhanced.tsv: X.{}.{}: class {class} is not in classes.tsv",
                    row.subject, row.detail
                ));
            }
        }
        for (row, (subject, detail)) in self.replies.iter().flat_map(|row| {
            row.senses.iter().flat_map(move |sense| sense.details.iter().map(move |detail| (row, *detail)))
        }) {
            if self.details.iter().all(|row| (row.subject, row.detail) != (subject, detail)) {
                return Err(format!("{DATA}/senses.tsv: {}: X.{subject}.{detail} is not in enhanced.tsv", row.code));
            }
        }
        for stage in &self.stages {
            if let Some((code, _)) = stage.replies.iter().find(|(code, _)| !known.contains(code)) {
                return Err(format!("{DATA}/sequences.tsv: {}: {code} is not in replies.tsv", stage.stage));
            }
        }
        self.check_tables()
    }
}

fn reply(cells: &mut Cells<'_>) -> Result<Reply, String> {
    let code = number(cells.next()?)?;
    let name = cells.optional()?.map(|name| constant(&name)).transpose()?;
    let row = Reply {
        code,
        name,
        title: cells.text()?,
        meaning: cells.text()?,
        advice: cells.text()?,
        note: cells.optional()?,
        reference: cells.reference()?,
        standing: cells.standing()?,
        senses: Vec::new(),
    };
    // Old lists have codes that no SMTP server may send: RFC 5321 §4.3.2.
    let kept = matches!(row.standing, Standing::Obsolete | Standing::Nonstandard) && (100..200).contains(&code);
    if !kept && !(200..600).contains(&code) {
        return Err(format!("{code} begins with another digit than 2 to 5"));
    }
    Ok(row)
}

fn class(cells: &mut Cells<'_>) -> Result<Class, String> {
    Ok(Class {
        class: number(cells.next()?)?,
        title: cells.text()?,
        meaning: cells.text()?,
        reference: cells.reference()?,
    })
}

fn subject(cells: &mut Cells<'_>) -> Result<Subject, String> {
    Ok(Subject {
        subject: number(cells.next()?)?,
        title: cells.text()?,
        meaning: cells.text()?,
        reference: cells.reference()?,
    })
}

fn detail(cells: &mut Cells<'_>) -> Result<Detail, String> {
    let (subject, detail) = status(cells.next()?)?;
    Ok(Detail {
        subject,
        detail,
        name: constant(cells.next()?)?,
        title: cells.text()?,
        meaning: cells.text()?,
        classes: match cells.next()? {
            "any" => Vec::new(),
            classes => numbers(classes)?,
        },
        replies: match cells.next()? {
            "-" => Associated::NotGiven,
            "any" => Associated::Any,
            codes => Associated::Codes(reply_codes(codes)?),
        },
        advice: meanings::advice(cells)?,
        reference: cells.reference()?,
        standing: cells.standing()?,
    })
}

fn verb(cells: &mut Cells<'_>) -> Result<Verb, String> {
    let name = cells.text()?;
    // Eight letters fit the machine word by which the crate looks a verb up.
    if name.len() > 8 || !name.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(format!("verb {name:?} is not one to eight capital letters"));
    }
    Ok(Verb {
        name,
        meaning: cells.text()?,
        keyword: cells.optional()?,
        reference: cells.reference()?,
        standing: cells.standing()?,
    })
}
