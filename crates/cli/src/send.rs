//! `ehlo send`: sends messages from files.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use ehlo_tokio::ehlo_client::codec::{
    DeliverBy, Expiry, MailParam, MailParamsBuf, Notify, Priority, RcptParam, Return, XText,
};
use indicatif::{ProgressBar, ProgressDrawTarget};

use crate::connect::{AuthOptions, Connector, Options, Target};
use crate::console::tell;
use crate::failure::{EX_DATAERR, EX_NOINPUT, EX_TEMPFAIL, Failure};

mod address;
mod form;
mod message;
mod mx;
mod octets;
mod report;
mod source;
mod work;

pub(crate) use address::{To, check_sender};
pub(crate) use message::{Fault, Message, Source};
pub(crate) use octets::Place;
pub(crate) use work::Plan;

/// From so many messages on, a terminal is shown how far they are.
const MANY: usize = 10;

/// Send messages from files to a server, and print its replies.
///
/// A file holds one message: header, empty line, body. One that begins with `From ` is an mbox, and holds many (RFC 4155, with `>From ` unquoted). Of a
/// folder, each file is sent; of a maildir, what is in new/ and cur/. A file whose lines all end in LF is text, and is sent with CRLF; one with mixed
/// line ends is refused, because nobody could tell what was meant. All are looked at before anything is sent, and none is ever in memory as a whole.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 every recipient of every message was accepted; 69 some were refused for good; 75 none was, \
                        but some were deferred or not reached, or what became of them is not known; 77 the log-in was refused; \
                        64 wrong usage; 65 a file is no message that can be sent; 66 a file can't be read."
)]
pub(crate) struct Args {
    /// The sender's address; "" or "<>" for the null sender of reports. Without it, the one that an mbox tells
    #[arg(long, value_name = "ADDR")]
    from: Option<String>,

    /// A recipient's address. Can be given more than once
    #[arg(long, value_name = "ADDR", required_unless_present = "to_file")]
    to: Vec<String>,

    /// Recipients' addresses, one a line
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,

    /// What is done with a CR or LF that stands alone
    #[arg(long, value_name = "WHAT", default_value = "refuse")]
    line_endings: Endings,

    /// Connections over which many messages are sent at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: u16,

    /// Print a line of JSON for each message
    #[arg(long)]
    json: bool,

    /// Show the whole dialogue but for the messages themselves and for what is secret of a log-in
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    options: Options,

    #[command(flatten)]
    auth: AuthOptions,

    /// When a report is wanted: never, or some of success, failure, delay with commas between (RFC 3461)
    #[arg(long, value_name = "WHEN", help_heading = "Extensions")]
    dsn_notify: Option<String>,

    /// What a report of failure returns: full or hdrs
    #[arg(long, value_name = "WHAT", help_heading = "Extensions")]
    dsn_ret: Option<String>,

    /// A name for the envelope that reports tell
    #[arg(long, value_name = "ID", help_heading = "Extensions")]
    dsn_envid: Option<String>,

    /// Send over verified TLS on each hop or not at all (REQUIRETLS, RFC 8689)
    #[arg(long, help_heading = "Extensions")]
    require_tls: bool,

    /// The priority, -9 to 9 (RFC 6710)
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "Extensions")]
    mt_priority: Option<String>,

    /// Seconds in which to deliver, and what to do behind them: 3600;R to return, 3600;N to notify (RFC 2852)
    #[arg(long, value_name = "SECONDS;MODE", help_heading = "Extensions")]
    deliver_by: Option<String>,

    /// Seconds for which the server is to hold the message back (RFC 4865)
    #[arg(long, value_name = "SECONDS", help_heading = "Extensions")]
    hold_for: Option<u32>,

    #[command(flatten)]
    mx: mx::MxOptions,

    /// The server: HOST, HOST:PORT (25 without), or the path of a socket. With --mx there is none, and files begin here
    #[arg(value_name = "SERVER")]
    server: String,

    /// Files, mboxes, folders or maildirs; - is the standard input
    #[arg(value_name = "FILE", required_unless_present = "mx")]
    files: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Endings {
    /// Nothing is sent, unless all lines end in LF
    Refuse,
    /// CRLF is made of each
    Normalize,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> ExitCode {
    match prepare(&args).and_then(deliver) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            tell("send", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// Sends all that is planned; gives the exit status.
pub(crate) fn deliver(plan: Plan) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(EX_TEMPFAIL, format_args!("cannot start: {error}")))?;
    Ok(match plan.router.clone() {
        Some(router) => runtime.block_on(mx::run(&plan, &router)),
        None => runtime.block_on(work::run(plan)),
    })
}

fn prepare(args: &Args) -> Result<Plan, Failure> {
    if let Some(from) = &args.from {
        check_sender(from).map_err(|fault| Failure::usage(format_args!("--from {from}: {fault}")))?;
    }
    let params = params(args)?;
    let to = recipients(args)?;
    let router = args.mx.router(args.options.connect_timeout)?;
    let target = match &router {
        // Whom it leads to is only known later. As servers among each other do: TLS where there is some.
        Some(_) => Target::Tcp { host: String::new(), port: 25 },
        None => Target::parse(&args.server, 25)
            .ok_or_else(|| Failure::usage(format_args!("{}: not HOST:PORT", args.server)))?,
    };
    let messages = messages(args)?;
    let connector = Connector::new(target, &args.options, &args.auth, args.require_tls)?;
    let shown = messages.len() >= MANY && std::io::stderr().is_terminal() && !args.verbose;
    let progress = if shown {
        ProgressBar::with_draw_target(Some(messages.len() as u64), ProgressDrawTarget::stderr())
    } else {
        ProgressBar::hidden()
    };
    Ok(Plan {
        command: "send",
        quiet: false,
        connector,
        router,
        messages,
        to,
        params,
        connections: args.connections.into(),
        verbose: args.verbose,
        json: args.json,
        lmtp: args.options.lmtp,
        progress,
    })
}

fn recipients(args: &Args) -> Result<Vec<To>, Failure> {
    let mut to = Vec::new();
    for text in &args.to {
        to.push(To::parse(text).map_err(|fault| Failure::usage(format_args!("--to {text}: {fault}")))?);
    }
    if let Some(file) = &args.to_file {
        let name = file.display();
        let text =
            std::fs::read_to_string(file).map_err(|error| Failure::new(EX_NOINPUT, format_args!("{name}: {error}")))?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let fail = |fault| Failure::usage(format_args!("{name}, line {}: {fault}", number + 1));
            to.push(To::parse(line.trim()).map_err(fail)?);
        }
    }
    if to.is_empty() {
        return Err(Failure::usage("there is no recipient"));
    }
    if let Some(text) = &args.dsn_notify {
        let notify = Notify::parse(text).ok_or_else(|| {
            Failure::usage(format_args!("--dsn-notify {text}: not never, nor some of success, failure, delay"))
        })?;
        for one in &mut to {
            one.params
                .push(RcptParam::Notify(notify))
                .map_err(|fault| Failure::usage(format_args!("--dsn-notify: {fault}")))?;
        }
    }
    Ok(to)
}

fn params(args: &Args) -> Result<MailParamsBuf, Failure> {
    let mut params = MailParamsBuf::new();
    let mut push = |option: &str, param: Option<MailParam<'_>>| {
        let wrong = || Failure::usage(format_args!("--{option}: that is no value of it; see ehlo send --help"));
        params
            .push(param.ok_or_else(wrong)?)
            .map(drop)
            .map_err(|fault| Failure::usage(format_args!("--{option}: {fault}")))
    };
    if let Some(text) = &args.dsn_ret {
        push("dsn-ret", Return::parse(text).map(MailParam::Ret))?;
    }
    if let Some(text) = &args.dsn_envid {
        push("dsn-envid", XText::parse(&XText::encode(text.as_bytes())).map(MailParam::Envid))?;
    }
    if let Some(text) = &args.deliver_by {
        push("deliver-by", DeliverBy::parse(text).map(MailParam::By))?;
    }
    if let Some(seconds) = args.hold_for {
        push("hold-for", Some(MailParam::Hold(Expiry::For(seconds))))?;
    }
    if let Some(text) = &args.mt_priority {
        push("mt-priority", Priority::parse(text).map(MailParam::Priority))?;
    }
    if args.require_tls {
        push("require-tls", Some(MailParam::RequireTls))?;
    }
    Ok(params)
}

/// All messages, each with its sender.
fn messages(args: &Args) -> Result<Vec<(Message, String)>, Failure> {
    let mut messages = Vec::new();
    let first = Some(&args.server).filter(|_| args.mx.mx);
    for name in first.into_iter().chain(&args.files) {
        let found = source::find(name).map_err(|error| Failure::new(EX_NOINPUT, format_args!("{name}: {error}")))?;
        if found.is_empty() {
            return Err(Failure::new(EX_NOINPUT, format_args!("{name}: there is no message in it")));
        }
        for source in found {
            let name = source.name.clone();
            let code = |fault: &Fault| if matches!(fault, Fault::Read(_)) { EX_NOINPUT } else { EX_DATAERR };
            let message = Message::look(source, args.line_endings == Endings::Normalize)
                .map_err(|fault| Failure::new(code(&fault), format_args!("{name}: {fault}")))?;
            let from = sender(args, &message)?;
            if message.is_converted() && !message.source.quoted {
                tell("send", format_args!("{name}: lines end in LF; sent with CRLF"));
            }
            messages.push((message, from));
        }
    }
    Ok(messages)
}

fn sender(args: &Args, message: &Message) -> Result<String, Failure> {
    let name = &message.source.name;
    match (&args.from, &message.source.sender, &message.header_sender) {
        (Some(from), ..) => Ok(from.clone()),
        (None, Some(from), _) => match check_sender(from) {
            Ok(()) => Ok(from.clone()),
            Err(fault) => {
                Err(Failure::usage(format_args!("{name}: the mbox says that it is from {from}: {fault}; say --from")))
            }
        },
        (None, None, Some(from)) => Err(Failure::usage(format_args!(
            "{name}: who sends it? Its header names {from}: if that is where reports are to go, say --from {from}"
        ))),
        (None, None, None) => Err(Failure::usage(format_args!("{name}: who sends it? Say --from"))),
    }
}
