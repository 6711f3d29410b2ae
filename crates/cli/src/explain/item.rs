//! What the words of the command line stand for.

use std::ffi::OsString;

use ehlo_codes::{Explanation, Parameter, SaslMechanism, ServiceExtension, Stage, WithProtocol};

/// What to say of a word that means nothing here.
pub(super) const NOTHING: &str = "neither a reply code such as 550, an enhanced status code such as 5.7.1, nor a name that \
                                  --list has";

/// Characters of an argument that an error repeats.
const SHOWN: usize = 60;

/// Something to explain, with what was given.
pub(super) struct Item<'t> {
    pub(super) input: &'t [u8],
    pub(super) what: What<'t>,
}

pub(super) enum What<'t> {
    Reply(Explanation<'t>),
    Name(Names),
}

/// What a name stands for: several things at once, often.
#[derive(Default)]
pub(super) struct Names {
    pub(super) stage: Option<Stage>,
    pub(super) extension: Option<&'static ServiceExtension>,
    /// Those that do not come with `extension`.
    pub(super) parameters: Vec<&'static Parameter>,
    pub(super) mechanism: Option<&'static SaslMechanism>,
    pub(super) with: Option<&'static WithProtocol>,
}

impl<'t> Item<'t> {
    pub(super) fn find(input: &'t [u8]) -> Option<Self> {
        let what = match Names::find(input) {
            Some(names) => What::Name(names),
            None => What::Reply(Explanation::of(input).ok()?),
        };
        Some(Item { input, what })
    }
}

impl Names {
    fn find(input: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(input).ok()?.trim();
        let extension = ServiceExtension::by_keyword(name);
        let own = |row: &&Parameter| extension.is_some_and(|extension| extension.keyword == row.extension);
        let names = Self {
            stage: Stage::by_name(name),
            extension,
            parameters: Parameter::ALL.iter().filter(|row| row.name.eq_ignore_ascii_case(name) && !own(row)).collect(),
            mechanism: SaslMechanism::by_name(name),
            with: WithProtocol::by_name(name),
        };
        let found = names.stage.is_some()
            || names.extension.is_some()
            || !names.parameters.is_empty()
            || names.mechanism.is_some()
            || names.with.is_some();
        found.then_some(names)
    }
}

/// The arguments as replies: an enhanced code and text continue the code before them, and once there is text everything is text.
///
/// `550 5.1.1 no such user` is one reply, `550 421` are two, and so are `'550 5.1.1 no such user' 421`: an argument with spaces is whole.
pub(super) fn split(words: &[OsString]) -> Vec<Vec<u8>> {
    let mut inputs: Vec<Vec<u8>> = Vec::new();
    let mut last = Kind::Whole;
    for word in words.iter().map(|word| word.as_encoded_bytes()) {
        let kind = Kind::of(word);
        let continues = match (last, kind) {
            (Kind::Text, _) | (Kind::Reply | Kind::Enhanced, Kind::Text) | (Kind::Reply, Kind::Enhanced) => true,
            (Kind::Whole | Kind::Name | Kind::Reply | Kind::Enhanced, _) => false,
        };
        match inputs.last_mut().filter(|_| continues) {
            Some(input) => {
                input.push(b' ');
                input.extend_from_slice(word);
            }
            None => inputs.push(word.to_vec()),
        }
        last = kind;
    }
    inputs
}

/// What an argument looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Three digits.
    Reply,
    /// Three numbers.
    Enhanced,
    /// A name of the registry.
    Name,
    /// Several words, or the standard input.
    Whole,
    /// Any other word.
    Text,
}

impl Kind {
    fn of(word: &[u8]) -> Self {
        if word == b"-" || word.iter().any(u8::is_ascii_whitespace) {
            return Self::Whole;
        }
        if Names::find(word).is_some() {
            return Self::Name;
        }
        match Explanation::of(word) {
            Ok(found) if found.text().is_empty() && found.reply().is_none() => Self::Enhanced,
            Ok(found) if found.text().is_empty() => Self::Reply,
            _ => Self::Text,
        }
    }
}

/// An argument for an error message: printable, and not too long.
pub(super) fn shown(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let mut letters = text.trim().chars();
    let start: String = letters.by_ref().take(SHOWN).collect();
    let more = if letters.next().is_some() { "..." } else { "" };
    format!("\"{}{more}\"", start.escape_debug())
}
