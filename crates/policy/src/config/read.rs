//! Reading a file so that all that is wrong with it is told at once.

use std::ops::Range;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer, Error};

use super::{ConfigFile, Problem};

/// Reads the text; what can't be understood is left out and told.
///
/// serde stops at the first thing that does not fit. So that is taken out, and the rest is read again, until all fits.
pub(super) fn read(text: &str) -> (ConfigFile, Vec<Problem>) {
    let (mut table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors.iter().map(syntax).collect();
    // What is left of a file with broken syntax is not what was meant: more would be told than is wrong.
    if !problems.is_empty() {
        return (ConfigFile::default(), problems);
    }
    loop {
        match ConfigFile::deserialize(Deserializer::from(table.clone())) {
            Ok(file) => return (file, problems),
            Err(error) => {
                let span = error.span().unwrap_or_default();
                problems.push(misfit(&error, span.clone()));
                if !remove(table.get_mut(), &span) {
                    return (ConfigFile::default(), problems);
                }
            }
        }
    }
}

/// What the syntax of TOML does not allow.
fn syntax(error: &Error) -> Problem {
    let span = error.span().unwrap_or_default();
    Problem::new(
        span,
        format!("this is no TOML: {}", error.message().replace('\n', " ")),
        "see https://toml.io for its syntax",
    )
}

/// What fits none of the types, in words of the file and not of a program.
fn misfit(error: &Error, span: Range<usize>) -> Problem {
    let message = error.message().trim_end();
    let names = |list: &str| list.replace('`', "").trim_start_matches("one of ").to_owned();
    if let Some((key, expected)) =
        quoted(message, "unknown field `").and_then(|(key, rest)| Some((key, rest.strip_prefix(", expected ")?)))
    {
        return Problem::new(span, format!("there is no key {key} here"), format!("the keys are {}", names(expected)));
    }
    if let Some((value, expected)) =
        quoted(message, "unknown variant `").and_then(|(value, rest)| Some((value, rest.strip_prefix(", expected ")?)))
    {
        return Problem::new(
            span,
            format!("\"{value}\" is none of the values"),
            format!("they are {}", names(expected)),
        );
    }
    if let Some((key, _)) = quoted(message, "missing field `") {
        return Problem::new(span, format!("the key {key} is missing"), "add it");
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        return Problem::new(span, format!("this is {found}"), format!("write {expected}"));
    }
    Problem::new(span, message.to_owned(), "correct the value")
}

/// What stands in the backquotes behind those words, and the rest.
fn quoted<'m>(message: &'m str, words: &str) -> Option<(&'m str, &'m str)> {
    message.strip_prefix(words)?.split_once('`')
}

/// Takes out the entry whose key or value is what the span says. Gives whether there was one.
fn remove(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    // The innermost: the span of a table may be that of its only entry.
    if table.iter_mut().any(|(_, value)| remove_within(value, span)) {
        return true;
    }
    let fits =
        |(key, value): &(&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| key.span() == *span || value.span() == *span;
    let found = table.iter().find(fits).map(|(key, _)| key.clone());
    found.is_some_and(|key| table.remove(&key).is_some())
}

fn remove_within(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    match value.get_mut() {
        DeValue::Table(table) => remove(table, span),
        DeValue::Array(array) => {
            if array.iter_mut().any(|value| remove_within(value, span)) {
                return true;
            }
            let rest: Vec<_> = array.iter().filter(|value| value.span() != *span).cloned().collect();
            let found = rest.len() < array.len();
            *array = rest.into_iter().collect();
            found
        }
        _ => false,
    }
}
