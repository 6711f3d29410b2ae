//! The `ehlo` command: an SMTP server, a client, and a load tester.

use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

mod connect;
mod console;
mod explain;
mod failure;
mod grant;
mod load;
mod man;
mod passwd;
mod password;
mod probe;
mod send;
mod sendmail;
mod serve;

/// An SMTP server, a client, and a load tester.
#[derive(Debug, Parser)]
#[command(name = "ehlo", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Send(Box<send::Args>),
    Probe(Box<probe::Args>),
    Sendmail(sendmail::Args),
    Load(Box<load::Args>),
    Explain(explain::Args),
    Passwd(passwd::Args),
    Grant(grant::Args),
    #[command(hide = true)]
    NullResponder(load::NullResponder),
    Completions(Completions),
    Man(man::Args),
}

/// Print a script that completes this command's options in a shell.
///
/// For bash, say: source <(ehlo completions bash)
#[derive(Debug, clap::Args)]
struct Completions {
    /// The shell.
    shell: clap_complete::Shell,
}

fn main() -> ExitCode {
    if let Some(words) = sendmail::words(std::env::args_os()) {
        return sendmail::run(words);
    }
    let parsed = Cli::command().try_get_matches().and_then(|matches| {
        // Which options stand on the line is only known of what they were read from.
        let given = serve::Given::of(matches.subcommand_matches("serve"));
        Ok((Cli::from_arg_matches(&matches)?, given))
    });
    let (cli, given) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error),
    };
    match cli.command {
        Command::Serve(args) => serve::run(*args, &given),
        Command::Send(args) => send::run(*args),
        Command::Probe(args) => probe::run(&args),
        Command::Sendmail(args) => sendmail::run_args(args),
        Command::Load(args) => load::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Passwd(args) => passwd::run(&args),
        Command::Grant(args) => grant::run(&args),
        Command::NullResponder(args) => load::null_responder(&args),
        Command::Man(args) => man::run(&args),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "ehlo", &mut script);
            match std::io::stdout().write_all(&script) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
    }
}

/// Help and version are answers; anything else is an error in the command line. `send` and `probe` report it as sendmail-like programs do.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell if that fails.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ if std::env::args_os().nth(1).is_some_and(|word| word == "send" || word == "probe") => {
            ExitCode::from(failure::EX_USAGE)
        }
        _ if std::env::args_os().nth(1).is_some_and(|word| word == "explain") => ExitCode::from(explain::EX_USAGE),
        _ => ExitCode::from(2),
    }
}
