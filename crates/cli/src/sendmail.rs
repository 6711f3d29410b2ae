//! `ehlo sendmail`: what programs expect of /usr/sbin/sendmail. It hands the message to a server at once; there is no queue.

mod address;
mod config;
mod header;
mod identity;
mod input;
mod options;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, BufReader, Read as _};
use std::path::Path;
use std::process::ExitCode;

use ehlo_tokio::ehlo_client::codec::{MailParam, MailParamsBuf, Notify, RcptParam, Return, XText};

use self::config::Config;
use self::header::Header;
use self::identity::Identity;
use self::input::Input;
use self::options::Given;
use crate::console::{print, tell};
use crate::failure::{EX_DATAERR, EX_USAGE, Failure};
use crate::send::{Fault, Message, Place, Plan, Source, To, check_sender, deliver};

/// Send the message on the standard input, as programs expect it of /usr/sbin/sendmail.
///
/// It is handed to the server that $EHLO_SMTP names, or else the file $EHLO_SENDMAIL_CONFIG, ~/.config/ehlo/sendmail.toml or /etc/ehlo/sendmail.toml. There
/// is no queue: what the exit status says is what has become of it. A link to ehlo that is called sendmail is this command.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    after_help = "Options:
  -t          The recipients are those of To, Cc and Bcc too
  -i, -oi     A line that is a dot does not end the message
  -f, -r ADDR The sender's address, for reports; user@hostname without it
  -F NAME     The sender's full name, for From where it is missing
  -N WHEN     When a report is wanted: never, or success, failure, delay
  -R WHAT     What a report of failure returns: full or hdrs
  -V ID       A name for the envelope that reports tell
  -C FILE     The configuration
  -v          Show the dialogue
  --          What follows is a recipient
Others of sendmail's options that change how, but not whether, a message is sent are accepted and do nothing.

Exit status: 0 all recipients were accepted; 69 some were refused for good, 67 if they are unknown; 75 some were deferred or not reached; 77 the log-in was \
                  refused; 78 the configuration is wrong or there is none; 64 wrong usage; 65 the header can't be read or names no recipient; 66 the message \
                  can't be read."
)]
pub(crate) struct Args {
    /// Options of sendmail, and recipients
    #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// The words for this command, if it was called by that name, or as `ehlo sendmail`. They are not for another parser to look at: sendmail's options are read
/// as getopt(3) does.
pub(crate) fn words(mut line: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let program = line.next()?;
    let name = Path::new(&program).file_name()?.as_encoded_bytes();
    (name.ends_with(b"sendmail") || line.next()? == "sendmail").then(|| line.collect())
}

/// Runs the command with what clap has read.
pub(crate) fn run_args(args: Args) -> ExitCode {
    run(args.words)
}

/// Runs the command.
pub(crate) fn run(words: Vec<OsString>) -> ExitCode {
    if words.first().is_some_and(|word| word == "--help") {
        let mut command = <Args as clap::Args>::augment_args(clap::Command::new("sendmail"));
        let _ = print(command.render_long_help());
        return ExitCode::SUCCESS;
    }
    match Given::read(words).and_then(send) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            tell("sendmail", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn send(given: Given) -> Result<u8, Failure> {
    if given.recipients.is_empty() && !given.from_header {
        if given.queue {
            // Of a queue that there is not, all is done.
            return Ok(0);
        }
        return Err(Failure::new(EX_USAGE, "there is no recipient: name some, or say -t to take those of the header"));
    }
    let params = params(&given)?;
    let notify = match &given.notify {
        None => None,
        Some(text) => Some(Notify::parse(text).ok_or_else(|| {
            Failure::usage(format_args!("-N {text}: not never, nor some of success, failure, delay"))
        })?),
    };
    let config = Config::read(given.config.as_deref())?;
    let connector = config.connector()?;
    let identity = Identity::new(config.from.as_deref());
    let (sender, author) = sender(&given, &config, &identity)?;
    let named = recipients(&given.recipients, &identity, notify, Failure::usage)?;
    // All that can be said without the message is said; a program that waits for it to be taken is not kept waiting.
    let mut input = BufReader::new(Input::new(io::stdin().lock(), !given.dots));
    let header = Header::read(&mut input)?;
    let mut to = named;
    if given.from_header {
        let wrong = |what| Failure::new(EX_DATAERR, format_args!("{what}; nothing was sent"));
        to.extend(recipients(&header.recipients()?, &identity, notify, wrong)?);
        if to.is_empty() {
            return Err(Failure::new(EX_DATAERR, "the header names no recipient in To, Cc or Bcc; nothing was sent"));
        }
    }
    let mut seen = HashSet::new();
    to.retain(|one| seen.insert(one.text.clone()));
    let from = header::from(given.full_name.as_deref(), &author);
    let front = header.finish(&identity.date(), &identity.message_id(), &from);
    let place = Place::spool(front.chain(input)).map_err(header::unread)?;
    let source = Source { name: "message".to_owned(), place, start: 0, end: u64::MAX, quoted: false, sender: None };
    let message = Message::look(source, false).map_err(|fault| match fault {
        Fault::Read(error) => header::unread(error),
        fault => Failure::new(EX_DATAERR, fault),
    })?;
    deliver(Plan {
        command: "sendmail",
        quiet: true,
        connector,
        router: None,
        messages: vec![(message, sender)],
        to,
        params,
        connections: 1,
        verbose: given.verbose,
        json: false,
        lmtp: false,
        progress: indicatif::ProgressBar::hidden(),
    })
}

/// The sender of the envelope, and the address for From where it is missing.
fn sender(given: &Given, config: &Config, identity: &Identity) -> Result<(String, String), Failure> {
    let sender = match (&given.sender, &config.from) {
        (Some(text), _) => match address::parse(text.as_bytes()).as_deref() {
            _ if matches!(text.trim(), "" | "<>") => String::new(),
            Ok([one]) => identity.qualified(one),
            Ok(_) => return Err(Failure::usage(format_args!("-f {text}: not one address"))),
            Err(fault) => return Err(Failure::usage(format_args!("-f: {fault}"))),
        },
        (None, Some(from)) => from.clone(),
        (None, None) => identity.address(),
    };
    if let Err(fault) = check_sender(&sender) {
        return Err(match &given.sender {
            Some(_) => Failure::usage(format_args!("-f {sender}: {fault}")),
            None => config.wrong(format_args!("from {sender}: {fault}")),
        });
    }
    let author =
        if sender.is_empty() { config.from.clone().unwrap_or_else(|| identity.address()) } else { sender.clone() };
    Ok((sender, author))
}

/// The recipients' addresses, those without a domain in the one of this host. A word of the command line is a field's value, too: `a@b, c@d` is two.
fn recipients(
    texts: &[String],
    identity: &Identity,
    notify: Option<Notify>,
    wrong: impl Fn(String) -> Failure,
) -> Result<Vec<To>, Failure> {
    let mut to = Vec::new();
    for text in texts {
        for address in address::parse(text.as_bytes()).map_err(|fault| wrong(fault.to_string()))? {
            let address = identity.qualified(&address);
            let mut one = To::parse(&address).map_err(|fault| wrong(format!("{address}: {fault}")))?;
            if let Some(notify) = notify {
                one.params.push(RcptParam::Notify(notify)).map_err(|fault| wrong(format!("-N: {fault}")))?;
            }
            to.push(one);
        }
    }
    Ok(to)
}

fn params(given: &Given) -> Result<MailParamsBuf, Failure> {
    let mut params = MailParamsBuf::new();
    if let Some(text) = &given.ret {
        let ret =
            Return::parse(text).ok_or_else(|| Failure::usage(format_args!("-R {text}: neither full nor hdrs")))?;
        params.push(MailParam::Ret(ret)).map_err(|fault| Failure::usage(format_args!("-R: {fault}")))?;
    }
    if let Some(text) = &given.envid {
        let encoded = XText::encode(text.as_bytes());
        let id =
            XText::parse(&encoded).ok_or_else(|| Failure::usage(format_args!("-V {text}: no name of an envelope")))?;
        params.push(MailParam::Envid(id)).map_err(|fault| Failure::usage(format_args!("-V: {fault}")))?;
    }
    Ok(params)
}
