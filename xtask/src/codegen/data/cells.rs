//! What all tables share: lines, cells, numbers, references.

use std::collections::BTreeSet;

use super::Standing;
use crate::codegen::DATA;

/// The cells of one line, taken from the left.
pub(super) struct Cells<'t> {
    rest: std::str::Split<'t, char>,
}

impl<'t> Cells<'t> {
    pub(super) fn next(&mut self) -> Result<&'t str, String> {
        let cell = self.rest.next().ok_or("too few cells: an empty one is written as -")?;
        if cell.is_empty() || cell.trim() != cell {
            return Err(format!("cell {cell:?} is empty or has spaces around it: an empty one is written as -"));
        }
        Ok(cell)
    }

    pub(super) fn text(&mut self) -> Result<String, String> {
        self.next().map(str::to_owned)
    }

    pub(super) fn optional(&mut self) -> Result<Option<String>, String> {
        self.next().map(|cell| (cell != "-").then(|| cell.to_owned()))
    }

    pub(super) fn standing(&mut self) -> Result<Standing, String> {
        Standing::parse(self.next()?)
    }

    pub(super) fn reference(&mut self) -> Result<String, String> {
        reference(self.next()?)
    }

    pub(super) fn yes(&mut self) -> Result<bool, String> {
        match self.next()? {
            "yes" => Ok(true),
            "no" => Ok(false),
            other => Err(format!("{other:?} is neither yes nor no")),
        }
    }

    /// Words with a space between, - for none.
    pub(super) fn words(&mut self) -> Result<Vec<String>, String> {
        Ok(match self.next()? {
            "-" => Vec::new(),
            words => words.split(' ').map(str::to_owned).collect(),
        })
    }

    fn finish(mut self) -> Result<(), String> {
        match self.rest.next() {
            None => Ok(()),
            Some(cell) => Err(format!("one cell too many: {cell:?}")),
        }
    }
}

/// The rows of a table: comments and the line of column names left out, each error told with its place.
pub(super) fn rows<T>(
    name: &str,
    text: &str,
    parse: impl Fn(&mut Cells<'_>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
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

pub(super) fn rising<K: Ord>(name: &str, keys: impl Iterator<Item = K>) -> Result<(), String> {
    let keys: Vec<K> = keys.collect();
    match keys.windows(2).position(|pair| pair[0] >= pair[1]) {
        None => Ok(()),
        Some(position) => Err(format!("{DATA}/{name}: row {} does not rise above the one before it", position + 2)),
    }
}

pub(super) fn unique<'t>(name: &str, what: &str, values: impl Iterator<Item = &'t str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value) {
            return Err(format!("{DATA}/{name}: {what} {value} occurs twice"));
        }
    }
    Ok(())
}

pub(super) fn number(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(number) if number <= 999 => Ok(number),
        _ => Err(format!("{text:?} is not a number from 0 to 999")),
    }
}

pub(super) fn numbers(text: &str) -> Result<Vec<u16>, String> {
    let numbers: Vec<u16> = text.split(' ').map(number).collect::<Result<_, _>>()?;
    if numbers.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(format!("{text:?} does not rise"));
    }
    Ok(numbers)
}

pub(super) fn reply_code(text: &str) -> Result<u16, String> {
    match number(text)? {
        code @ 200..=599 => Ok(code),
        code => Err(format!("{code} begins with another digit than 2 to 5")),
    }
}

pub(super) fn reply_codes(text: &str) -> Result<Vec<u16>, String> {
    text.split(' ').try_for_each(|code| reply_code(code).map(drop))?;
    numbers(text)
}

/// A name that can be a Rust constant.
pub(super) fn constant(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if text.chars().all(good) && text.starts_with(|c: char| c.is_ascii_uppercase()) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a constant's name"))
    }
}

/// Any text, but one that names an RFC names a section of it too.
pub(super) fn reference(text: &str) -> Result<String, String> {
    if text.starts_with("RFC ") && text.split(", RFC ").any(|part| !part.contains(" §")) {
        return Err(format!("reference {text:?} names an RFC without its section"));
    }
    Ok(text.to_owned())
}

/// `X.7.1`: subject and detail.
pub(super) fn status(text: &str) -> Result<(u16, u16), String> {
    let (subject, detail) = text
        .strip_prefix("X.")
        .and_then(|rest| rest.split_once('.'))
        .ok_or_else(|| format!("{text:?} is not like X.1.1"))?;
    Ok((number(subject)?, number(detail)?))
}
