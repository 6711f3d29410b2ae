//! `ehlo grant`: an address may relay for a while.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use ehlo_policy::config::{ConfigFile, Period};

use crate::console::tell;

/// Let an address relay for a while, as where a user has just fetched mail from (POP before SMTP).
///
/// It is written into the file that `[grants]` of the server's configuration names, and counts half a second later at the latest.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ehlo grant 192.0.2.7 --for 30m --config ehlo.toml\n\n\
                        Exit status: 0, 1 if the file can't be written, 2 for wrong usage.")]
pub(crate) struct Args {
    /// The address: IPv4 or IPv6
    address: IpAddr,

    /// For how long, from now on: a number with s, m, h or d
    #[arg(long = "for", value_name = "TIME", value_parser = time, default_value = "30m")]
    time: Duration,

    /// Take the grant back instead
    #[arg(long, conflicts_with = "time")]
    revoke: bool,

    /// The file of grants
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    file: Option<PathBuf>,

    /// The server's configuration, which names the file of grants
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

fn time(text: &str) -> Result<Duration, &'static str> {
    let Period(time) = text.parse()?;
    if time.is_zero() { Err("a grant lasts for some time; --revoke takes one back") } else { Ok(time) }
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match grant(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell("grant", error);
            ExitCode::FAILURE
        }
    }
}

fn grant(args: &Args) -> Result<(), String> {
    let file = match (&args.file, &args.config) {
        (Some(file), _) => file.clone(),
        (None, Some(config)) => named(config)?,
        (None, None) => return Err("say --file or --config".to_owned()),
    };
    let time = if args.revoke { Duration::ZERO } else { args.time };
    ehlo_policy::grant(&file, args.address, time, SystemTime::now())
        .map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

/// The file of grants that a configuration names.
fn named(config: &Path) -> Result<PathBuf, String> {
    let text =
        std::fs::read_to_string(config).map_err(|error| format!("{} cannot be read: {error}", config.display()))?;
    let (file, _) = ConfigFile::read(&text);
    let grants = file
        .grants
        .ok_or_else(|| format!("{} has no [grants], or is wrong: see ehlo serve --check-config", config.display()))?;
    Ok(config.parent().unwrap_or(Path::new("")).join(grants.get_ref().file.get_ref()))
}
