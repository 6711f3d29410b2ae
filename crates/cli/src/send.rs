//! `ehlo send`: sends messages from files.

use std::fmt;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::net::ToSocketAddrs as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ehlo_tokio::client::{Client, Observed, SendError, address_literal};
use ehlo_tokio::ehlo_client::codec::{BodyType, ForwardPath, ReplyClass, ReversePath};
use ehlo_tokio::ehlo_client::{CloseReason, Config, Envelope, Fate, Recipient, Stage};
use tokio::net::TcpStream;

use crate::console::{print, tell};

mod message;

use message::Message;

/// Wrong usage, as sysexits(3) has it.
pub(crate) const EX_USAGE: u8 = 64;
/// A message that can't be sent as it is.
const EX_DATAERR: u8 = 65;
/// A file that can't be read.
const EX_NOINPUT: u8 = 66;
/// Refused for good.
const EX_UNAVAILABLE: u8 = 69;
/// To be tried again later.
const EX_TEMPFAIL: u8 = 75;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(60);

/// Send messages from files to a server, and print its replies.
///
/// Each file holds one message: header, empty line, body. A file whose lines all end in LF is text, and is sent with CRLF; one with mixed
/// line ends is refused, because nobody could tell what was meant. Files are looked at before anything is sent. The messages go over one
/// connection, one after the other.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 every recipient of every message was accepted; 69 some were refused for good; 75 none was, \
                        but some were deferred or not reached, or what became of them is not known; 64 wrong usage; 65 a file \
                        is no message that can be sent; 66 a file can't be read."
)]
pub(crate) struct Args {
    /// The sender's address; "" or "<>" for the null sender of reports
    #[arg(long, value_name = "ADDR")]
    from: String,

    /// A recipient's address. Can be given more than once
    #[arg(long, value_name = "ADDR", required = true)]
    to: Vec<String>,

    /// The name for EHLO: a domain, or an address in brackets. Without it, the address of this end
    #[arg(long, value_name = "NAME")]
    hello: Option<String>,

    /// Wait for each reply before the next command, even if the server offers PIPELINING
    #[arg(long)]
    no_pipelining: bool,

    /// Show the whole dialogue but for the messages themselves
    #[arg(short, long)]
    verbose: bool,

    /// The server; without a port, 25
    #[arg(value_name = "HOST:PORT")]
    server: String,

    /// Files with one message each; - is the standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
}

/// The worst that became of any recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worst {
    Accepted,
    Deferred,
    Refused,
}

impl Worst {
    fn of(fate: &Fate<'_>) -> Self {
        match fate {
            Fate::Accepted(_) => Self::Accepted,
            _ if fate.is_transient() => Self::Deferred,
            _ => Self::Refused,
        }
    }

    fn exit_code(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Deferred => EX_TEMPFAIL,
            Self::Refused => EX_UNAVAILABLE,
        }
    }
}

/// Why nothing at all was sent.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> ExitCode {
    match prepare(&args) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            tell("send", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn prepare(args: &Args) -> Result<u8, Failure> {
    let usage = |message: String| Failure::new(EX_USAGE, message);
    let bare =
        |address: &str| address.strip_prefix('<').and_then(|a| a.strip_suffix('>')).unwrap_or(address).to_owned();
    let bracketed = |address: &str| format!("<{}>", bare(address));
    let from_text = bracketed(&args.from);
    let from = match ReversePath::parse_prefix(from_text.as_bytes()) {
        Ok((from, [])) => from,
        Ok(_) => return Err(usage(format!("--from {}: not one address", args.from))),
        Err(fault) => return Err(usage(format!("--from {}: {fault}", args.from))),
    };
    let to_texts: Vec<String> = args.to.iter().map(|address| bracketed(address)).collect();
    let mut to: Vec<Recipient<'_>> = Vec::new();
    for (given, text) in args.to.iter().zip(&to_texts) {
        match ForwardPath::parse_prefix(text.as_bytes()) {
            Ok((path, [])) => to.push(path.into()),
            Ok(_) => return Err(usage(format!("--to {given}: not one address"))),
            Err(fault) => return Err(usage(format!("--to {given}: {fault}"))),
        }
    }
    if to.len() > Config::DEFAULT_MAX_RECIPIENTS {
        return Err(usage(format!("more than {} recipients", Config::DEFAULT_MAX_RECIPIENTS)));
    }
    if let Some(name) = &args.hello {
        Config::new(name).map_err(|fault| usage(format!("--hello {name}: {fault}")))?;
    }
    let server = Server::parse(&args.server).ok_or_else(|| usage(format!("{}: not HOST:PORT", args.server)))?;
    let messages = args.files.iter().map(|name| read(name)).collect::<Result<Vec<_>, _>>()?;
    for message in &messages {
        if message.converted {
            tell("send", format_args!("{}: lines end in LF; sent with CRLF", message.name));
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(EX_TEMPFAIL, format_args!("cannot start: {error}")))?;
    let sender = Sender { args, server, from, to: &to, subject: Arc::default() };
    Ok(runtime.block_on(sender.send_all(&messages)).exit_code())
}

fn read(name: &str) -> Result<Message, Failure> {
    let mut bytes = Vec::new();
    let result = if name == "-" {
        if io::stdin().is_terminal() {
            tell("send", "reading a message from the terminal; end it with Ctrl-D");
        }
        io::stdin().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(name).map(|read| bytes = read)
    };
    result.map_err(|error| Failure::new(EX_NOINPUT, format_args!("{name}: {error}")))?;
    Message::new(name, bytes).map_err(|fault| Failure::new(EX_DATAERR, format_args!("{name}: {fault}")))
}

/// Where to connect.
struct Server {
    host: String,
    port: u16,
}

impl Server {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            // Two colons without brackets are an IPv6 address without a port.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()?),
            _ => (text, 25),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        (!host.is_empty() && port != 0).then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What replies are about at the moment.
#[derive(Debug, Default)]
struct Subject {
    name: String,
    recipients: Vec<String>,
}

struct Sender<'a> {
    args: &'a Args,
    server: Server,
    from: ReversePath<'a>,
    to: &'a [Recipient<'a>],
    subject: Arc<Mutex<Subject>>,
}

impl Sender<'_> {
    async fn send_all(&self, messages: &[Message]) -> Worst {
        let mut worst = Worst::Accepted;
        let mut client = None;
        for message in messages {
            self.set_subject(&message.name);
            let mut connected = match client.take() {
                Some(client) => client,
                None => match self.connect().await {
                    Ok(client) => client,
                    Err(result) => {
                        // The next message would fare no better.
                        return worst.max(result);
                    }
                },
            };
            worst = worst.max(self.send(&mut connected, message).await);
            if connected.closed().is_none() {
                client = Some(connected);
            }
        }
        if let Some(client) = client {
            // All is said; how the server takes its leave changes nothing.
            let _ = client.quit().await;
        }
        worst
    }

    fn set_subject(&self, name: &str) {
        let mut subject = self.subject.lock().unwrap_or_else(PoisonError::into_inner);
        subject.name = name.to_owned();
        subject.recipients = self.to.iter().map(|one| one.to.to_string()).collect();
    }

    async fn connect(&self) -> Result<Client, Worst> {
        let fail = |message: String| {
            tell("send", message);
            Worst::Deferred
        };
        let server = &self.server;
        // Looked up here and not with the connection, to tell the two failures apart.
        let addresses: Vec<_> = match (server.host.as_str(), server.port).to_socket_addrs() {
            Ok(addresses) => addresses.collect(),
            Err(error) => return Err(fail(format!("no such host: {}: {error}", server.host))),
        };
        let stream = match tokio::time::timeout(CONNECT, TcpStream::connect(&addresses[..])).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(fail(format!("cannot connect to {server}: {error}"))),
            Err(_) => {
                return Err(fail(format!("cannot connect to {server}: no answer within {} s", CONNECT.as_secs())));
            }
        };
        let name = match (&self.args.hello, stream.local_addr()) {
            (Some(name), _) => name.clone(),
            (None, Ok(address)) => address_literal(address.ip()),
            (None, Err(error)) => return Err(fail(format!("cannot connect to {server}: {error}"))),
        };
        let config = match Config::new(&name) {
            Ok(config) => config.pipelining(!self.args.no_pipelining),
            Err(fault) => return Err(fail(format!("{name}: {fault}"))),
        };
        let subject = Arc::clone(&self.subject);
        let verbose = self.args.verbose;
        let observer = Box::new(move |observed: Observed<'_>| observe(&subject, verbose, observed));
        Client::over(stream, Arc::new(config), observer).await.map_err(|error| {
            tell("send", format_args!("{server}: {error}"));
            match error {
                SendError::Closed(CloseReason::Refused(code)) | SendError::Refused(CloseReason::Refused(code), _)
                    if code.class() == ReplyClass::PermanentFailure =>
                {
                    Worst::Refused
                }
                _ => Worst::Deferred,
            }
        })
    }

    async fn send(&self, client: &mut Client, message: &Message) -> Worst {
        let body = if message.bytes.is_ascii() { BodyType::SevenBit } else { BodyType::EightBitMime };
        let envelope = Envelope::new(self.from, self.to).with_size(message.bytes.len() as u64).with_body(body);
        let name = &message.name;
        match client.send(&envelope, &message.bytes).await {
            Ok(report) => {
                if let Some(reason) = client.closed() {
                    tell("send", format_args!("{name}: {reason}"));
                }
                let mut worst = Worst::Accepted;
                for (to, fate) in self.to.iter().zip(report.iter()) {
                    worst = worst.max(Worst::of(&fate));
                    let to = to.to;
                    match fate {
                        Fate::Unsent => tell("send", format_args!("{name}: {to}: not sent")),
                        Fate::Unknown => {
                            tell(
                                "send",
                                format_args!("{name}: {to}: sent, but the reply was lost: it may have arrived"),
                            );
                        }
                        Fate::Impossible(error) => tell("send", format_args!("{name}: {error}")),
                        _ => {}
                    }
                }
                worst
            }
            Err(error) => {
                tell("send", format_args!("{name}: {error}"));
                Worst::Deferred
            }
        }
    }
}

/// Prints what goes over the connection: the dialogue on the standard error if it is wanted, else the replies that matter on the
/// standard output.
fn observe(subject: &Mutex<Subject>, verbose: bool, observed: Observed<'_>) {
    // If nobody reads it, the messages are sent all the same.
    if verbose {
        let mut err = io::stderr().lock();
        let _ = match observed {
            Observed::Sent(bytes) => {
                String::from_utf8_lossy(bytes).lines().try_for_each(|line| writeln!(err, "C: {line}"))
            }
            Observed::Reply(_, reply) => reply.to_string().lines().try_for_each(|line| writeln!(err, "S: {line}")),
            Observed::Body(length) => writeln!(err, "C: ({length} bytes of message)"),
            _ => Ok(()),
        };
    }
    let Observed::Reply(stage, reply) = observed else { return };
    let positive = reply.code().is_positive();
    if positive && stage != Stage::Body || matches!(stage, Stage::Quit | Stage::Rset) {
        return;
    }
    let subject = subject.lock().unwrap_or_else(PoisonError::into_inner);
    let about = match stage {
        Stage::Rcpt(index) => subject.recipients.get(index as usize).map(|to| format!("{to}: ")).unwrap_or_default(),
        _ => String::new(),
    };
    for line in reply.to_string().lines() {
        let _ = print(format_args!("{}: {about}{line}", subject.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_with_and_without_port() {
        for (text, shown) in [
            ("localhost:2525", "localhost:2525"),
            ("mx.example", "mx.example:25"),
            ("127.0.0.1:25", "127.0.0.1:25"),
            ("[::1]:2525", "[::1]:2525"),
            ("[::1]", "[::1]:25"),
            ("::1", "[::1]:25"),
        ] {
            assert_eq!(Server::parse(text).map(|server| server.to_string()).as_deref(), Some(shown));
        }
        for wrong in ["", ":25", "a:", "a:b", "a:0", "a:65536", "[]:25"] {
            assert!(Server::parse(wrong).is_none(), "{wrong}");
        }
    }
}
