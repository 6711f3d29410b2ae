//! `ehlo passwd`: what a file keeps of a password.

use std::process::ExitCode;

use ehlo_policy::{ITERATIONS, hash_password};

use crate::console::{print, tell};
use crate::password;

/// Make what the file of `ehlo serve --config` keeps of a password.
///
/// The password is the first line of the standard input, and never a word of the command line, where others could read it. What is printed
/// is a verifier for SCRAM-SHA-256 (RFC 5803): the password can't be learned from it but by trying, and it is enough for PLAIN and LOGIN as
/// well. With a name, a whole line of a users file is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ehlo passwd ada >> users\n\n\
                        Exit status: 0, 1 if the password can't be one, 2 for wrong usage.")]
pub(crate) struct Args {
    /// Whose password it is
    name: Option<String>,

    /// How often it is hashed: what makes trying expensive, for the server too
    #[arg(long, value_name = "N", default_value_t = ITERATIONS, value_parser = clap::value_parser!(u32).range(4096..=10_000_000))]
    iterations: u32,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    if args.name.as_ref().is_some_and(|name| name.contains([':', '\n', '\r']) || name.is_empty()) {
        tell("passwd", "a name in a users file has neither a colon nor a line end");
        return ExitCode::from(2);
    }
    let made =
        password::from_input().map_err(|error| format!("the password cannot be read: {error}")).and_then(|password| {
            let password = password.trim_end_matches(['\r', '\n']);
            hash_password(password, args.iterations).map_err(|_| {
                "that can't be a password: it is empty, or has characters that none may have (RFC 4013)".to_owned()
            })
        });
    let verifier = match &made {
        Ok(verifier) => verifier.as_str().unwrap_or_default(),
        Err(error) => {
            tell("passwd", error);
            return ExitCode::FAILURE;
        }
    };
    let line = match &args.name {
        Some(name) => format!("{name}:{verifier}"),
        None => verifier.to_owned(),
    };
    if print(line).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
