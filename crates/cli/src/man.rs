//! `ehlo man`: the manual pages, made of what the options say of themselves.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::console::tell;

/// Print the manual page, or write the pages of all commands into a folder.
///
/// To look at one: ehlo man | man -l -
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to write ehlo.1, ehlo-serve.1 and so on. Without it, ehlo.1 is printed
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> ExitCode {
    let result = match &args.folder {
        None => page(crate::Cli::command()).and_then(|page| io::stdout().write_all(&page)),
        Some(folder) => write(folder),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let place =
                args.folder.as_ref().map_or("the standard output".into(), |folder| folder.display().to_string());
            tell("man", format_args!("cannot write to {place}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut command = crate::Cli::command().disable_help_subcommand(true);
    // The names of subcommands with that of the command before them are known only then.
    command.build();
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned() {
        man(sub).generate_to(folder)?;
    }
    man(command).generate_to(folder).map(drop)
}

fn page(command: clap::Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    man(command.disable_help_subcommand(true)).render(&mut page)?;
    Ok(page)
}

fn man(command: clap::Command) -> Man {
    Man::new(command).source(concat!("ehlo ", env!("CARGO_PKG_VERSION"))).manual("ehlo manual")
}
