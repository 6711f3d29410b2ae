//! The tables beside those of codes: extensions and their parameters, SASL mechanisms, `with` protocols, codes of vendors.

use super::cells::{Cells, number, reply_code};
use super::{Registry, Standing};
use crate::codegen::DATA;

/// A row of `extensions.tsv`.
pub(crate) struct Extension {
    pub(crate) keyword: String,
    pub(crate) title: String,
    pub(crate) parameter: Option<String>,
    pub(crate) verbs: Vec<String>,
    pub(crate) mail_line: u16,
    pub(crate) rcpt_line: u16,
    pub(crate) meaning: String,
    pub(crate) limits: Option<String>,
    pub(crate) relay: bool,
    /// The variant of the crate's `Requirement`.
    pub(crate) submission: Option<&'static str>,
    pub(crate) reference: String,
    pub(crate) replaces: Option<String>,
    pub(crate) note: Option<String>,
    pub(crate) standing: Standing,
}

/// A row of `parameters.tsv`.
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) verb: String,
    pub(crate) extension: String,
    pub(crate) value: Option<String>,
    pub(crate) octets: Option<u16>,
    pub(crate) meaning: String,
    pub(crate) reference: String,
}

/// A row of `sasl.tsv`.
pub(crate) struct Mechanism {
    pub(crate) name: String,
    /// The variant of the crate's `Usage`.
    pub(crate) usage: &'static str,
    pub(crate) secret: bool,
    pub(crate) meaning: String,
    pub(crate) reference: String,
    pub(crate) standing: Standing,
}

/// A row of `with.tsv`.
pub(crate) struct With {
    pub(crate) name: String,
    /// The variant of the crate's `Protocol`.
    pub(crate) protocol: &'static str,
    pub(crate) tls: bool,
    pub(crate) auth: bool,
    pub(crate) utf8: bool,
    pub(crate) meaning: String,
    pub(crate) reference: String,
    pub(crate) standing: Standing,
}

/// A row of `vendor.tsv`.
pub(crate) struct Vendor {
    pub(crate) provider: String,
    pub(crate) reply: Option<u16>,
    pub(crate) class: u16,
    pub(crate) subject: u16,
    pub(crate) detail: u16,
    /// The last detail of a range; otherwise the same as `detail`.
    pub(crate) last: u16,
    pub(crate) meaning: String,
    pub(crate) advice: String,
    pub(crate) source: String,
}

const REQUIREMENTS: &[(&str, &str)] =
    &[("must", "Must"), ("should", "Should"), ("may", "May"), ("must-not", "MustNot")];

const USAGES: &[(&str, &str)] = &[("common", "Common"), ("limited", "Limited"), ("obsolete", "Obsolete")];

const PROTOCOLS: &[(&str, &str)] = &[("smtp", "Smtp"), ("esmtp", "Esmtp"), ("lmtp", "Lmtp")];

fn variant(table: &[(&str, &'static str)], name: &str) -> Result<&'static str, String> {
    let known = table.iter().find(|(known, _)| *known == name);
    known.map(|(_, variant)| *variant).ok_or_else(|| format!("unknown word {name:?}"))
}

/// A keyword as EHLO and AUTH have it: RFC 5321 §4.1.1.1 (`ehlo-keyword`), RFC 4422 §3.1, here in capitals.
fn keyword(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
    if text.chars().all(good) && !text.starts_with('-') {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a keyword in capital letters"))
    }
}

pub(super) fn extension(cells: &mut Cells<'_>) -> Result<Extension, String> {
    Ok(Extension {
        keyword: keyword(cells.next()?)?,
        title: cells.text()?,
        parameter: cells.optional()?,
        verbs: cells.words()?.iter().map(|verb| keyword(verb)).collect::<Result<_, _>>()?,
        mail_line: octets(cells.next()?)?,
        rcpt_line: octets(cells.next()?)?,
        meaning: cells.text()?,
        limits: cells.optional()?,
        relay: cells.yes()?,
        submission: cells.optional()?.map(|word| variant(REQUIREMENTS, &word)).transpose()?,
        reference: cells.reference()?,
        replaces: cells.optional()?,
        note: cells.optional()?,
        standing: cells.standing()?,
    })
}

fn octets(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number of octets"))
}

pub(super) fn parameter(cells: &mut Cells<'_>) -> Result<Parameter, String> {
    Ok(Parameter {
        name: keyword(cells.next()?)?,
        verb: keyword(cells.next()?)?,
        extension: keyword(cells.next()?)?,
        value: Some(cells.text()?).filter(|value| value != "none"),
        octets: cells.optional()?.map(|text| octets(&text)).transpose()?,
        meaning: cells.text()?,
        reference: cells.reference()?,
    })
}

pub(super) fn mechanism(cells: &mut Cells<'_>) -> Result<Mechanism, String> {
    let name = keyword(cells.next()?)?;
    if name.len() > 20 {
        return Err(format!("{name} is longer than the 20 characters that RFC 4422 §3.1 allows"));
    }
    Ok(Mechanism {
        name,
        usage: variant(USAGES, cells.next()?)?,
        secret: cells.yes()?,
        meaning: cells.text()?,
        reference: cells.reference()?,
        standing: cells.standing()?,
    })
}

pub(super) fn with(cells: &mut Cells<'_>) -> Result<With, String> {
    Ok(With {
        name: keyword(cells.next()?)?,
        protocol: variant(PROTOCOLS, cells.next()?)?,
        tls: cells.yes()?,
        auth: cells.yes()?,
        utf8: cells.yes()?,
        meaning: cells.text()?,
        reference: cells.reference()?,
        standing: cells.standing()?,
    })
}

pub(super) fn vendor(cells: &mut Cells<'_>) -> Result<Vendor, String> {
    let provider = cells.text()?;
    let reply = cells.optional()?.map(|code| reply_code(&code)).transpose()?;
    let code = cells.next()?;
    let mut parts = code.split('.');
    let mut part = || parts.next().ok_or_else(|| format!("{code:?} is not like 5.7.1 or 5.7.606-649"));
    let (class, subject) = (number(part()?)?, number(part()?)?);
    let (detail, last) = match part()? {
        range if range.contains('-') => {
            let (first, last) = range.split_once('-').unwrap_or_default();
            (number(first)?, number(last)?)
        }
        detail => (number(detail)?, number(detail)?),
    };
    if parts.next().is_some() || detail > last || !matches!(class, 2 | 4 | 5) {
        return Err(format!("{code:?} is not like 5.7.1 or 5.7.606-649"));
    }
    if reply.is_some_and(|reply| reply / 100 != class) {
        return Err(format!("{code} does not agree with the reply code beside it"));
    }
    let (meaning, advice, source) = (cells.text()?, cells.text()?, cells.text()?);
    Ok(Vendor { provider, reply, class, subject, detail, last, meaning, advice, source })
}

impl Registry {
    /// Parameters that point at extensions and verbs, and codes of vendors in order.
    pub(super) fn check_tables(&self) -> Result<(), String> {
        for row in &self.parameters {
            let wrong = |what: &str| Err(format!("{DATA}/parameters.tsv: {} of {}: {what}", row.name, row.verb));
            if self.extensions.iter().all(|extension| extension.keyword != row.extension) {
                return wrong("its extension is not in extensions.tsv");
            }
            if self.verbs.iter().all(|verb| verb.name != row.verb) {
                return wrong("its verb is not in verbs.tsv");
            }
        }
        for row in &self.verbs {
            if let Some(keyword) = &row.keyword {
                let extension = self.extensions.iter().find(|extension| extension.keyword == *keyword);
                if extension.is_none_or(|extension| !extension.verbs.contains(&row.name)) {
                    return Err(format!("{DATA}/verbs.tsv: {}: {keyword} in extensions.tsv does not add it", row.name));
                }
            }
        }
        let key = |row: &Vendor| (row.class, row.subject, row.detail);
        if let Some(pair) = self.vendors.windows(2).find(|pair| key(&pair[0]) > key(&pair[1])) {
            return Err(format!("{DATA}/vendor.tsv: {:?} does not rise", key(&pair[1])));
        }
        Ok(())
    }
}
