//! The tables, read and checked. Every complaint names the file and the line.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::codegen::DATA;

/// All tables.
pub(crate) struct Registry {
    pub(crate) replies: Vec<Reply>,
    pub(crate) classes: Vec<Class>,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) details: Vec<Detail>,
    pub(crate) verbs: Vec<Verb>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) shared: Vec<Shared>,
}

/// A row of `replies.tsv`.
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) name: Option<String>,
    pub(crate) title: String,
    pub(crate) meaning: String,
    pub(crate) advice: String,
    pub(crate) reference: String,
    pub(crate) standing: Standing,
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

/// The rows of `sequences.tsv` that share a stage.
pub(crate) struct Stage {
    pub(crate) stage: String,
    /// Rising by code; each with the reference that allows it.
    pub(crate) replies: Vec<(u16, String)>,
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
        let replies = rows("replies.tsv", &load("replies.tsv")?, reply)?;
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
        let sequences = rows("sequences.tsv", &load("sequences.tsv")?, sequence)?;
        let (stages, shared) = stages(sequences, &verbs)?;
        let registry = Self { replies, classes, subjects, details, verbs, stages, shared };
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
        for stage in &self.stages {
            if let Some((code, _)) = stage.replies.iter().find(|(code, _)| !known.contains(code)) {
                return Err(format!("{DATA}/sequences.tsv: {}: {code} is not in replies.tsv", stage.stage));
            }
        }
        Ok(())
    }
}

/// The cells of one line, taken from the left.
struct Cells<'t> {
    rest: std::str::Split<'t, char>,
}

impl<'t> Cells<'t> {
    fn next(&mut self) -> Result<&'t str, String> {
        let cell = self.rest.next().ok_or("too few cells: an empty one is written as -")?;
        if cell.is_empty() || cell.trim() != cell {
            return Err(format!("cell {cell:?} is empty or has spaces around it: an empty one is written as -"));
        }
        Ok(cell)
    }

    fn text(&mut self) -> Result<String, String> {
        self.next().map(str::to_owned)
    }

    fn optional(&mut self) -> Result<Option<String>, String> {
        self.next().map(|cell| (cell != "-").then(|| cell.to_owned()))
    }

    fn standing(&mut self) -> Result<Standing, String> {
        Standing::parse(self.next()?)
    }

    fn finish(mut self) -> Result<(), String> {
        match self.rest.next() {
            None => Ok(()),
            Some(cell) => Err(format!("one cell too many: {cell:?}")),
        }
    }
}

/// The rows of a table: comments and the line of column names left out, each error told with its place.
fn rows<T>(name: &str, text: &str, parse: impl Fn(&mut Cells<'_>) -> Result<T, String>) -> Result<Vec<T>, String> {
    let mut rows = Vec::new();
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    for (position, line) in lines.skip(1) {
        let mut cells = Cells { rest: line.split('\t') };
        let row = parse(&mut cells).and_then(|row| cells.finish().map(|()| row));
        rows.push(row.map_err(|error| format!("{DATA}/{name}:{}: {error}", position + 1))?);
    }
    if rows.is_empty() {
        return Err(format!("{DATA}/{name}: no rows"));
    }
    Ok(rows)
}

fn rising<K: Ord>(name: &str, keys: impl Iterator<Item = K>) -> Result<(), String> {
    let keys: Vec<K> = keys.collect();
    match keys.windows(2).position(|pair| pair[0] >= pair[1]) {
        None => Ok(()),
        Some(position) => Err(format!("{DATA}/{name}: row {} does not rise above the one before it", position + 2)),
    }
}

fn unique<'t>(name: &str, what: &str, values: impl Iterator<Item = &'t str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value) {
            return Err(format!("{DATA}/{name}: {what} {value} occurs twice"));
        }
    }
    Ok(())
}

fn number(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(number) if number <= 999 => Ok(number),
        _ => Err(format!("{text:?} is not a number from 0 to 999")),
    }
}

fn numbers(text: &str) -> Result<Vec<u16>, String> {
    let numbers: Vec<u16> = text.split(' ').map(number).collect::<Result<_, _>>()?;
    if numbers.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(format!("{text:?} does not rise"));
    }
    Ok(numbers)
}

fn reply_code(text: &str) -> Result<u16, String> {
    match number(text)? {
        code @ 200..=599 => Ok(code),
        code => Err(format!("{code} begins with another digit than 2 to 5")),
    }
}

fn reply_codes(text: &str) -> Result<Vec<u16>, String> {
    text.split(' ').try_for_each(|code| reply_code(code).map(drop))?;
    numbers(text)
}

/// A name that can be a Rust constant.
fn constant(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if text.chars().all(good) && text.starts_with(|c: char| c.is_ascii_uppercase()) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a constant's name"))
    }
}

/// Any text, but one that names an RFC names a section of it too.
fn reference(text: &str) -> Result<String, String> {
    if text.starts_with("RFC ") && text.split(", RFC ").any(|part| !part.contains(" §")) {
        return Err(format!("reference {text:?} names an RFC without its section"));
    }
    Ok(text.to_owned())
}

fn reply(cells: &mut Cells<'_>) -> Result<Reply, String> {
    let code = reply_code(cells.next()?)?;
    let name = cells.optional()?.map(|name| constant(&name)).transpose()?;
    Ok(Reply {
        code,
        name,
        title: cells.text()?,
        meaning: cells.text()?,
        advice: cells.text()?,
        reference: reference(cells.next()?)?,
        standing: cells.standing()?,
    })
}

fn class(cells: &mut Cells<'_>) -> Result<Class, String> {
    Ok(Class {
        class: number(cells.next()?)?,
        title: cells.text()?,
        meaning: cells.text()?,
        reference: reference(cells.next()?)?,
    })
}

fn subject(cells: &mut Cells<'_>) -> Result<Subject, String> {
    Ok(Subject {
        subject: number(cells.next()?)?,
        title: cells.text()?,
        meaning: cells.text()?,
        reference: reference(cells.next()?)?,
    })
}

fn detail(cells: &mut Cells<'_>) -> Result<Detail, String> {
    let code = cells.next()?;
    let (subject, detail) = code
        .strip_prefix("X.")
        .and_then(|rest| rest.split_once('.'))
        .ok_or_else(|| format!("{code:?} is not like X.1.1"))?;
    Ok(Detail {
        subject: number(subject)?,
        detail: number(detail)?,
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
        reference: reference(cells.next()?)?,
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
        reference: reference(cells.next()?)?,
        standing: cells.standing()?,
    })
}

/// A row of `sequences.tsv` as it stands there.
struct Sequence {
    stage: String,
    codes: Vec<u16>,
    reference: String,
}

fn sequence(cells: &mut Cells<'_>) -> Result<Sequence, String> {
    Ok(Sequence { stage: cells.text()?, codes: reply_codes(cells.next()?)?, reference: reference(cells.next()?)? })
}

/// Rows of a stage joined: special stages first, then every verb in the order of `verbs.tsv`.
fn stages(rows: Vec<Sequence>, verbs: &[Verb]) -> Result<(Vec<Stage>, Vec<Shared>), String> {
    let special = SPECIAL_STAGES.iter().map(|(stage, _)| *stage);
    let mut stages: Vec<Stage> = special
        .chain(verbs.iter().map(|verb| verb.name.as_str()))
        .map(|stage| Stage { stage: stage.to_owned(), replies: Vec::new() })
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

    fn is_command(&self) -> bool {
        self.stage == "unknown-verb" || SPECIAL_STAGES.iter().all(|(special, _)| *special != self.stage)
    }
}
