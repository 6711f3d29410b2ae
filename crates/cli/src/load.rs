//! `ehlo load`: how fast is a server, and can the figures be believed?

mod embedded;
mod process;
mod processors;
mod progress;
mod run;
mod units;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::console::tell;

/// The exit status for errors, refused messages and broken integrity.
const EX_FAILED: u8 = 1;

/// The exit status for input that cannot be used.
const EX_USAGE: u8 = 2;

/// The exit status for an INVALID measurement.
const EX_INVALID: u8 = 4;

/// Send mail to a server over many connections, and measure.
///
/// Without --rate, --closed or --messages a run has three parts: the generator is calibrated against a responder that does nothing;
/// the server's peak is found by a closed loop, in which each connection sends as soon as it may; and then messages are sent at half
/// that rate, whether or not the server keeps up. The latencies are of that last part.
///
/// Without a target, `ehlo serve --store verify` is started on a free port for the run, and what it has stored is compared with what was
/// sent: nothing may be missing, doubled or altered.
///
/// Never aim it at a server that isn't yours.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The server to send to. An IPv6 address stands in brackets
    #[arg(value_name = "HOST:PORT", value_parser = units::target)]
    target: Option<String>,

    /// The same as HOST:PORT
    #[arg(long = "target", value_name = "HOST:PORT", value_parser = units::target, conflicts_with = "target")]
    target_option: Option<String>,

    /// Connections that are open at the same time
    #[arg(short, long, value_name = "N", default_value = "100", value_parser = units::count, help_heading = "Load")]
    connections: u64,

    /// Messages per second, whether or not the server keeps up (open loop)
    #[arg(short, long, value_parser = units::rate, help_heading = "Load")]
    rate: Option<f64>,

    /// Send as fast as the server answers (closed loop), and nothing else. Latencies are then those of a saturated server
    #[arg(long, conflicts_with = "rate", help_heading = "Load")]
    closed: bool,

    /// End after so many messages. Without --rate they are sent in a closed loop
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count, help_heading = "Load")]
    messages: Option<u64>,

    /// How long to measure, such as 5s or 2m [default: 8s, or until --messages are sent]
    #[arg(short, long, value_name = "TIME", value_parser = units::positive_duration, help_heading = "Load")]
    duration: Option<Duration>,

    /// How long to send before messages are measured [default: 1s, or none with --messages]
    #[arg(long, value_name = "TIME", value_parser = units::duration, help_heading = "Load")]
    warm_up: Option<Duration>,

    /// One message for each connection
    #[arg(long, help_heading = "Load")]
    reconnect: bool,

    /// Wait for each reply, even if the server offers PIPELINING
    #[arg(long, help_heading = "Load")]
    no_pipelining: bool,

    /// Send the messages of a folder (one in each file) or of an mbox file
    #[arg(long, value_name = "DIR|FILE.mbox", help_heading = "Messages")]
    corpus: Option<PathBuf>,

    /// Send made-up messages of this size, such as 4k [default: a mix with a median of 4k]
    #[arg(long, value_name = "BYTES", value_parser = units::size, conflicts_with = "corpus", help_heading = "Messages")]
    size: Option<usize>,

    /// What to do with files of mixed line endings, bare CR or NUL
    #[arg(long, value_name = "HOW", default_value = "strict", requires = "corpus", help_heading = "Messages")]
    line_endings: LineEndings,

    /// The sender's address; empty for the null sender
    #[arg(long, value_name = "ADDRESS", default_value = "load@example.org", help_heading = "Messages")]
    from: String,

    /// A recipient's address. Can be given more than once
    #[arg(long, value_name = "ADDRESS", default_value = "sink@example.net", help_heading = "Messages")]
    to: Vec<String>,

    /// The name in EHLO: a domain, or an address in brackets
    #[arg(long, value_name = "NAME", default_value = "localhost.localdomain", help_heading = "Messages")]
    ehlo_name: String,

    /// What is drawn at random is drawn from this
    #[arg(long, value_name = "NUMBER", default_value_t = 1, help_heading = "Messages")]
    seed: u64,

    /// Write the report as JSON; - writes it to the standard output instead of the text
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    json: Option<PathBuf>,

    /// No progress on the standard error
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,

    /// Threads of the generator [default: half the processors]
    #[arg(long, value_name = "N", value_parser = units::count, help_heading = "Generator")]
    threads: Option<u64>,

    /// Don't measure what the generator itself can do
    #[arg(long, help_heading = "Generator")]
    no_calibrate: bool,

    /// How long the server may take for a reply [default: 30s, and 60s for the one to a message]
    #[arg(long, value_name = "TIME", value_parser = units::positive_duration, help_heading = "Generator")]
    timeout: Option<Duration>,

    /// The process id of the server, whose CPU time is then told, if it runs on this machine
    #[arg(long, value_name = "PID", conflicts_with = "server", help_heading = "Generator")]
    target_pid: Option<u32>,

    /// A program to start instead of this one as the server of the run, with the same arguments
    #[arg(long, value_name = "PROGRAM", hide = true, conflicts_with_all = ["target", "target_option"])]
    server: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  ehlo load                                           with a server of its own
  ehlo load 127.0.0.1:2525 --rate 500 --duration 30s  latency at 500 messages/s
  ehlo load mx.example.org:25 --messages 1000 --connections 10 --reconnect
  ehlo load 127.0.0.1:2525 --corpus mail/ --json report.json

Exit status:
  0  every message was accepted, and none lost, doubled or altered
  1  errors or refused messages, or what was acknowledged is not what is stored
  2  wrong usage, or messages that cannot be sent as they are
  4  all of that is well, but the measurement is INVALID";

/// See [`ehlo_load::corpus::LineEndings`].
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LineEndings {
    /// Refuse them, by name.
    Strict,
    /// Send every line end as CRLF and leave NUL out.
    Normalize,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> ExitCode {
    match run::run(args) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            tell("load", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// Why there is no report.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn usage(message: impl ToString) -> Self {
        Self { code: EX_USAGE, message: message.to_string() }
    }

    fn failed(message: impl ToString) -> Self {
        Self { code: EX_FAILED, message: message.to_string() }
    }
}

/// Answer SMTP with canned replies and do nothing else, to calibrate the generator.
///
/// It ends when its standard input is closed.
#[derive(Debug, clap::Args)]
pub(crate) struct NullResponder {
    /// Where to listen. Port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

impl NullResponder {
    fn command(listen: SocketAddr) -> [OsString; 3] {
        ["null-responder".into(), "--listen".into(), listen.to_string().into()]
    }
}

/// Runs the null responder until its standard input is closed.
pub(crate) fn null_responder(args: &NullResponder) -> ExitCode {
    let serve = || -> std::io::Result<()> {
        let listener = ehlo_load::null::listen(args.listen)?;
        crate::console::print(format_args!("listening on {}", listener.local_addr()?))?;
        let stdin = std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned()?;
        ehlo_load::null::serve(listener, Some(&stdin))
    };
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell("null-responder", format_args!("{}: {error}", args.listen));
            ExitCode::from(EX_FAILED)
        }
    }
}
