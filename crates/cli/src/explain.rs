//! `ehlo explain`: what a reply means, from the registry.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use ehlo_codes::Stage;

use crate::console::tell;

mod human;
mod item;
mod json;
mod list;
pub(crate) mod wrap;

use item::Item;
use list::Table;

/// Wrong usage, as sysexits(3) has it.
pub(crate) const EX_USAGE: u8 = 64;
/// The standard input can't be read.
const EX_NOINPUT: u8 = 66;

/// Octets of the standard input that are looked at. A reply or a bounce is far smaller.
const INPUT: u64 = 64 * 1024;

/// Explain reply codes, enhanced status codes, and whole replies.
///
/// Give a code (550, 5.7.1), both ('501 5.5.4'), a reply or a line of a bounce that quotes one ('452-4.2.2 mailbox full'), or the name of
/// a command, extension, parameter, SASL mechanism or Received protocol. Words that belong to one reply need no quotation marks: ehlo
/// explain 550 5.1.1 no such user. A single dash reads the standard input.
///
/// Says what it means, digit by digit, which commands get it, where it is defined, whether to try again, and what sender, recipient and
/// postmaster can do. What is not registered is explained by its digits, and codes that disagree are told.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 explained; 64 wrong usage, or nothing to explain in what was given; 66 the standard \
                        input can't be read."
)]
pub(crate) struct Args {
    /// Codes, replies and names; - for the standard input
    #[arg(value_name = "ARG", required_unless_present = "list")]
    words: Vec<OsString>,

    /// Say also whether a server may send this reply here: a command, connect, unknown-verb, data-end or auth-response
    #[arg(long, value_name = "STAGE", value_parser = stage, conflicts_with = "list")]
    after: Option<Stage>,

    /// Print JSON: an object, or a list of them for several arguments and for --list
    #[arg(long)]
    json: bool,

    /// Print a whole table instead; without a name that of the reply codes
    #[arg(long, value_name = "TABLE", num_args = 0..=1, default_missing_value = "codes", conflicts_with = "words")]
    list: Option<Table>,
}

fn stage(name: &str) -> Result<Stage, String> {
    let known = || {
        let names: Vec<&str> = Stage::ALL.iter().map(|stage| stage.name()).collect();
        names.join(", ")
    };
    Stage::by_name(name).ok_or_else(|| format!("known are {}", known()))
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let text = match &args.list {
        Some(table) if args.json => json::pretty(&table.json()),
        Some(table) => table.text(),
        None => match explain(args) {
            Ok(text) => text,
            Err(code) => return code,
        },
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough: `ehlo explain --list | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            tell("explain", format_args!("the standard output can't be written: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn explain(args: &Args) -> Result<String, ExitCode> {
    let mut inputs = Vec::new();
    for input in item::split(&args.words) {
        inputs.push(if input == b"-" { standard_input()? } else { input });
    }
    let mut items = Vec::with_capacity(inputs.len());
    for input in &inputs {
        match Item::find(input) {
            Some(item) => items.push(item),
            None => tell("explain", format_args!("{}: {}", item::shown(input), item::NOTHING)),
        }
    }
    if items.len() < inputs.len() || items.is_empty() {
        return Err(ExitCode::from(EX_USAGE));
    }
    Ok(if args.json {
        json::items(&items, args.after)
    } else {
        let bold = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        human::items(&items, args.after, bold)
    })
}

fn standard_input() -> Result<Vec<u8>, ExitCode> {
    let mut input = Vec::new();
    match io::stdin().lock().take(INPUT).read_to_end(&mut input) {
        Ok(_) => Ok(input),
        Err(error) => {
            tell("explain", format_args!("the standard input can't be read: {error}"));
            Err(ExitCode::from(EX_NOINPUT))
        }
    }
}
