//! `ehlo probe`: what a server offers, in clear and inside TLS, and how its certificate stands.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

use crate::connect::{Options, Target, TlsMode, seconds};
use crate::console::tell;
use crate::failure::{EX_TEMPFAIL, Failure};

mod certificate;
mod human;
mod json;
mod look;
mod seen;
mod shown;
mod warnings;

/// Seconds that are waited for a reply. RFC 5321 §4.5.3.2 wants minutes of who has mail to deliver; whoever asks this waits for the answer.
const PATIENCE: f64 = 60.0;
/// Seconds that are waited for the connection.
const CONNECT: f64 = 30.0;
/// There are warnings, and --strict.
const EX_WARNED: u8 = 1;

/// Show what a server offers, before and behind TLS.
///
/// Connects, says EHLO, begins TLS if it is there, says EHLO again, and leaves; no mail is sent. Shows the greeting, the extensions in clear and inside
/// TLS, the version and cipher of TLS, and the server's certificate: whom it is for, who issued it, when it ends, and why it is not trusted if it is
/// not. To find that out a second connection is made. What is wrong or looks wrong is listed as a warning.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 the server was looked at; 1 likewise, but with --strict and there are warnings; 69 the server refuses the session; \
                        75 it was not reached, or says to come again later; 64 wrong usage; 66 a file can't be read."
)]
pub(crate) struct Args {
    /// Print an object of JSON
    #[arg(long)]
    json: bool,

    /// Exit with status 1 if there are warnings
    #[arg(long)]
    strict: bool,

    /// Warn of a certificate that ends within so many days
    #[arg(long, value_name = "DAYS", default_value_t = 14)]
    warn_days: u16,

    /// How TLS begins. Without it: implicit on port 465, else starttls
    #[arg(long, value_name = "MODE", help_heading = "TLS")]
    tls: Option<Begin>,

    /// Trust the authorities, or the very certificate, of this PEM file, and not those of this host
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    tls_ca: Option<PathBuf>,

    /// The name that the server's certificate must have, if not the one that was connected to
    #[arg(long, value_name = "NAME", help_heading = "TLS")]
    tls_name: Option<String>,

    /// The name for EHLO: a domain, or an address in brackets. Without it, the address of this end
    #[arg(long, value_name = "NAME", alias = "hello", alias = "helo", help_heading = "Session")]
    ehlo_name: Option<String>,

    /// Speak LMTP (RFC 2033)
    #[arg(long, help_heading = "Session")]
    lmtp: bool,

    /// Seconds to wait for each reply [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Session")]
    timeout: Option<f64>,

    /// Seconds to wait for the connection [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Session")]
    connect_timeout: Option<f64>,

    /// The server: HOST, HOST:PORT (25 without), or the path of a socket
    #[arg(value_name = "SERVER")]
    server: String,
}

/// How TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Begin {
    /// By STARTTLS, if the server offers it
    Starttls,
    /// From the first byte on
    Implicit,
    /// Not at all
    Off,
}

impl Begin {
    /// Whether verified or not.
    const fn mode(self) -> TlsMode {
        match self {
            Self::Starttls => TlsMode::Opportunistic,
            Self::Implicit => TlsMode::Implicit,
            Self::Off => TlsMode::Off,
        }
    }

    /// With verified servers only.
    const fn strict_mode(self) -> TlsMode {
        match self {
            Self::Starttls => TlsMode::Required,
            other => other.mode(),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Starttls => "starttls",
            Self::Implicit => "implicit",
            Self::Off => "off",
        }
    }
}

impl Args {
    fn options(&self, mode: TlsMode, insecure: bool) -> Options {
        Options {
            tls: Some(mode),
            tls_ca: self.tls_ca.clone(),
            tls_name: self.tls_name.clone(),
            tls_insecure: insecure,
            ehlo_name: self.ehlo_name.clone(),
            lmtp: self.lmtp,
            timeout: Some(self.timeout.unwrap_or(PATIENCE)),
            connect_timeout: Some(self.connect_timeout.unwrap_or(CONNECT)),
            ..Options::default()
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> ExitCode {
    match probe(args) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            tell("probe", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn probe(args: &Args) -> Result<u8, Failure> {
    let target = Target::parse(&args.server, 25)
        .ok_or_else(|| Failure::usage(format_args!("{}: not HOST:PORT", args.server)))?;
    let begin = args.tls.unwrap_or(if target.port() == Some(465) { Begin::Implicit } else { Begin::Starttls });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(EX_TEMPFAIL, format_args!("cannot start: {error}")))?;
    let found = runtime.block_on(look::look(args, target, begin))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs().cast_signed());
    let warnings = warnings::of(&found, now, args.warn_days);
    let report = if args.json { json::report(&found, &warnings, now) } else { human::report(&found, &warnings, now) };
    let mut out = io::stdout().lock();
    out.write_all(report.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new(EX_TEMPFAIL, format_args!("cannot write to the standard output: {error}")))?;
    if let Some(failure) = found.failure {
        return Err(failure);
    }
    Ok(if args.strict && !warnings.is_empty() { EX_WARNED } else { 0 })
}
