//! Service extensions and the parameters that they add: RFC 5321 §2.2, §4.1.1.11.

use core::fmt;

use crate::generated::extensions as tables;
use crate::{Standing, Verb};

/// A service extension: a keyword that EHLO may list (RFC 5321 §2.2).
///
/// ```
/// use ehlo_codes::ServiceExtension;
/// let size = ServiceExtension::by_keyword("size").unwrap();
/// assert_eq!((size.keyword, size.mail_line), ("SIZE", 26));
/// assert_eq!(size.parameters().next().unwrap().name, "SIZE");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceExtension {
    /// In capitals, as it is usually written; compared without case (RFC 5321 §2.4).
    pub keyword: &'static str,
    /// A few words.
    pub title: &'static str,
    /// What it lets client and server do.
    pub meaning: &'static str,
    /// What may stand behind the keyword. `None`: nothing.
    pub parameter: Option<&'static str>,
    /// The commands that it adds, by name; not all of them are a [`Verb`].
    pub verbs: &'static [&'static str],
    /// Octets by which its document lets the line of MAIL be longer than 512 (RFC 5321 §4.5.3.1.4); 0 if it states none.
    pub mail_line: u16,
    /// The same for RCPT.
    pub rcpt_line: u16,
    /// What its document bounds. `None`: nothing.
    pub limits: Option<&'static str>,
    /// Whether it is for mail between servers.
    pub relay: bool,
    /// What RFC 6409 §7 or its own document says about the submission port. `None`: nothing.
    pub submission: Option<Requirement>,
    /// The RFC and sections that define it.
    pub reference: &'static str,
    /// Earlier RFCs that it took the place of.
    pub replaces: Option<&'static str>,
    /// What else is worth knowing.
    pub note: Option<&'static str>,
    /// How firmly it stands.
    pub standing: Standing,
}

impl ServiceExtension {
    /// Every row of the registry, those in wide use first.
    pub const ALL: &'static [Self] = tables::EXTENSIONS;

    /// The extension with this keyword, in any case, or `None`.
    #[must_use]
    pub fn by_keyword(keyword: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|row| row.keyword.eq_ignore_ascii_case(keyword))
    }

    /// The parameters that it adds to commands.
    pub fn parameters(&self) -> impl Iterator<Item = &'static Parameter> + Clone + use<> {
        let keyword = self.keyword;
        Parameter::ALL.iter().filter(move |row| row.extension == keyword)
    }
}

/// What a document says about an extension on the submission port: words of RFC 2119.
///
/// Exhaustive on purpose: RFC 6409 §7 uses these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// Every submission server offers it.
    Must,
    /// It should be there.
    Should,
    /// It may be there.
    May,
    /// It must not be there.
    MustNot,
}

impl Requirement {
    /// As RFC 2119 writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
            Self::MustNot => "MUST NOT",
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A parameter that an extension adds to a command (RFC 5321 §4.1.1.11).
///
/// One name may occur several times: SMTPUTF8 goes with MAIL, VRFY and EXPN, and BODY comes from two extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parameter {
    /// In capitals, as it is usually written; compared without case.
    pub name: &'static str,
    /// The command that takes it.
    pub verb: Verb,
    /// The keyword of the extension.
    pub extension: &'static str,
    /// What stands behind the equals sign. `None`: neither sign nor value.
    pub value: Option<&'static str>,
    /// The greatest length of the value that its document states or implies, in octets. `None`: no such number.
    pub octets: Option<u16>,
    /// What it says.
    pub meaning: &'static str,
    /// The RFC and section that defines it.
    pub reference: &'static str,
}

impl Parameter {
    /// Every row of the registry, in the order of their extensions.
    pub const ALL: &'static [Self] = tables::PARAMETERS;

    /// The rows with this name that go with `verb`: none, or one for each extension that adds it.
    ///
    /// ```
    /// use ehlo_codes::{Parameter, Verb};
    /// assert_eq!(Parameter::of(Verb::Mail, "body").count(), 2);
    /// assert_eq!(Parameter::of(Verb::Rcpt, "size").count(), 0);
    /// ```
    pub fn of(verb: Verb, name: &str) -> impl Iterator<Item = &'static Self> {
        Self::ALL.iter().filter(move |row| row.verb == verb && row.name.eq_ignore_ascii_case(name))
    }
}
