//! From what a file says to what it means: everything that is wrong with it is found, and told with its place.

mod access;
mod follow;
mod mail;
mod session;

use std::ops::Range;
use std::path::{Path, PathBuf};

pub(crate) use session::Serving;

use crate::config::{At, ConfigFile, Problem};
use crate::place::{Location, Places, is_lmtp};
use crate::plan::Plan;

/// What is being checked, and what was found so far.
pub(crate) struct Checker<'f> {
    pub(crate) file: &'f ConfigFile,
    /// Where paths that are not absolute begin.
    base: &'f Path,
    places: &'f Places,
    problems: Vec<Problem>,
    /// The places that were named, each once.
    place_names: Vec<String>,
}

/// Checks a file that was read. With `broken`, parts of it could not be read and are missing: what may only follow from that is not told.
pub(crate) fn check(
    file: &ConfigFile,
    base: &Path,
    places: &Places,
    mut problems: Vec<Problem>,
) -> Result<(Plan, Serving), Vec<Problem>> {
    let broken = !problems.is_empty();
    let mut checker = Checker { file, base, places, problems: Vec::new(), place_names: Vec::new() };
    let serving = checker.serving();
    let plan = checker.plan();
    problems.extend(checker.problems.into_iter().filter(|problem| !(broken && problem.follows)));
    match (plan, serving) {
        (plan, Some(mut serving)) if problems.is_empty() => {
            if plan.place_names.iter().any(|name| is_lmtp(name)) {
                // What can't be carried further for some recipients is offered to nobody.
                (serving.session.dsn, serving.session.binary_mime) = (false, false);
            }
            Ok((plan, serving))
        }
        _ => Err(problems),
    }
}

impl Checker<'_> {
    fn problem(&mut self, span: Range<usize>, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::new(span, what, remedy));
    }

    /// A problem that may only be there because something else could not be read.
    fn missing(&mut self, span: Range<usize>, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem { follows: true, ..Problem::new(span, what, remedy) });
    }

    /// A path as the file means it: from its own folder on.
    fn path(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// A number within bounds, or the default.
    fn within<T: Copy + PartialOrd + std::fmt::Display>(
        &mut self,
        value: Option<&At<T>>,
        default: T,
        least: T,
        most: T,
    ) -> T {
        let Some(value) = value else { return default };
        let number = *value.get_ref();
        if number < least || number > most {
            self.problem(value.span(), format!("{number} is out of range"), format!("write {least} to {most}"));
        }
        number
    }

    /// A reply code that the file may choose, or the default.
    fn code(&mut self, value: Option<&At<u16>>, default: u16, allowed: &[u16], what: &str) -> u16 {
        let Some(value) = value else { return default };
        let code = *value.get_ref();
        if !allowed.contains(&code) {
            let list: Vec<String> = allowed.iter().map(u16::to_string).collect();
            let why = match code {
                200..=399 => "refuses nothing",
                400..=599 => "is none of them",
                _ => "is no reply code",
            };
            self.problem(
                value.span(),
                format!("{what} can't be {code}, which {why}"),
                format!("write {}", list.join(", ")),
            );
            return default;
        }
        code
    }

    /// What the name of a place says, with its path as the file means it.
    fn location(&mut self, name: &At<String>) -> Option<Location> {
        let with_path = ["maildir:", "lmtp:unix:"].into_iter().find_map(|kind| {
            let path = name.get_ref().strip_prefix(kind).filter(|path| !path.is_empty())?;
            Some(format!("{kind}{}", self.path(Path::new(path)).display()))
        });
        let text = with_path.unwrap_or_else(|| name.get_ref().clone());
        match self.places.parse(&text) {
            Ok(location) => Some(location),
            Err(error) => {
                self.problem(name.span(), format!("{:?} is no place: {error}", name.get_ref()), "name one that is");
                None
            }
        }
    }

    /// The number of a place that takes mail for whatever address. It is opened later.
    fn shared_place(&mut self, name: &At<String>) -> Option<usize> {
        let full = match self.location(name)? {
            Location::Place(full) => full,
            Location::Maildir(template) if template.has_parts() => {
                let what = "this place takes mail for any address, so it can't have {domain} or {local} in it";
                self.problem(name.span(), what, "name one folder");
                return None;
            }
            Location::Maildir(_) => {
                format!("maildir:{}", self.path(Path::new(&name.get_ref()["maildir:".len()..])).display())
            }
        };
        Some(self.place_number(full))
    }

    fn place_number(&mut self, full: String) -> usize {
        self.place_names.iter().position(|known| *known == full).unwrap_or_else(|| {
            self.place_names.push(full);
            self.place_names.len() - 1
        })
    }
}
