//! The options of `ehlo serve`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use ehlo_tokio::Network;
use tracing_subscriber::filter::LevelFilter;

use super::config::ConfigArgs;
use super::store::StoreKind;
use super::{log, tls, users};

/// Run an SMTP server that takes any message for anybody, for tests.
///
/// It prints `listening on ADDRESS:PORT` as soon as clients can connect, one line for each --listen, then one for each --listen-tls with
/// ` (tls)` behind it, one with ` (metrics)` behind it for --metrics, and nothing else on the standard output. SIGHUP has it load certificates and keys anew, and the file of --config. SIGTERM and Ctrl-C end it gracefully: messages on their way are taken to their end, other connections get 421, and a line on
/// the standard error sums up. A second signal ends it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ehlo serve --listen 127.0.0.1:0 --store discard\n  \
                        ehlo serve --store maildir:/tmp/mail --log-format json --metrics 127.0.0.1:9125\n  \
                        ehlo serve --tls self-signed --listen-tls 127.0.0.1:4465\n  \
                        ehlo serve --rules rules.toml --seed 7\n\n\
                        Exit status: 0 after a graceful end, 1 if it could not start or a connection was cut off, 2 for wrong usage.")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) config: ConfigArgs,

    /// Where to listen, as IP:PORT. Port 0 takes a free one. Can be given more than once
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2525", value_parser = address)]
    pub(super) listen: Vec<SocketAddr>,

    /// Offer STARTTLS, with the certificate chain and the key of these PEM files, or one made for --hostname on the spot.
    ///
    /// Given more than once, a client is shown the certificate for the name that it asks for, and otherwise the first.
    #[arg(long, value_name = "self-signed|CERT.pem,KEY.pem", value_parser = tls::source)]
    pub(super) tls: Vec<tls::Source>,

    /// Where to listen for clients that begin with TLS. Can be given more than once
    #[arg(long, value_name = "ADDR", value_parser = address, requires = "tls")]
    pub(super) listen_tls: Vec<SocketAddr>,

    /// Obey nothing but NOOP, EHLO, STARTTLS and QUIT before TLS: 530
    #[arg(long, requires = "tls")]
    pub(super) require_tls: bool,

    /// Verify the certificates of clients that show one by the authorities of this PEM file
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub(super) client_ca: Option<PathBuf>,

    /// Let this user authenticate, inside of TLS. Can be given more than once.
    ///
    /// Whoever may list the processes of this host can read it: for tests only.
    #[arg(long, value_name = "NAME:PASSWORD")]
    pub(super) user: Vec<users::User>,

    /// Let users authenticate outside of TLS, too, where everybody on the way can read passwords
    #[arg(long, requires = "user")]
    pub(super) allow_plaintext_auth: bool,

    /// Take mail of those only who have authenticated: 530
    #[arg(long, requires = "user")]
    pub(super) require_auth: bool,

    /// Offer CRAM-MD5 as well, for old clients
    #[arg(long, requires = "user")]
    pub(super) cram_md5: bool,

    /// What becomes of messages.
    ///
    /// discard throws them away; memory keeps up to 1 GiB of them until the end; verify keeps the id, length and digest of each;
    /// maildir:PATH puts each into a file of a maildir, and mbox:PATH all into one file, on the disk, synced, before the client is told so;
    /// lmtp:HOST:PORT and lmtp:unix:PATH hand each to an LMTP server, whose answer the client gets.
    #[arg(long, value_name = "STORE", default_value = "discard")]
    pub(super) store: StoreKind,

    /// Where --store verify writes its records when the server ends
    #[arg(long, value_name = "FILE")]
    pub(super) ledger: Option<PathBuf>,

    /// Speak LMTP (RFC 2033) in place of SMTP: LHLO, and a reply for each recipient. Not on port 25
    #[arg(long)]
    pub(super) lmtp: bool,

    /// The server's name in its greeting: a domain, or an address in brackets
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub(super) hostname: String,

    /// The largest message in bytes; K, M or G may follow the number
    #[arg(long, value_name = "BYTES", default_value = "50M", value_parser = bytes)]
    pub(super) max_size: u64,

    /// The most recipients of one message
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_recipients: u32,

    /// The most messages over one connection, told in the reply to EHLO as LIMITS MAILMAX; one more gets 421. Without it, any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=999_999))]
    pub(super) max_messages: Option<u32>,

    /// The most Received fields of a message: one with more goes round in a loop and gets 554. `off` takes them all
    #[arg(long, value_name = "N|off", default_value = "100", value_parser = received)]
    pub(super) max_received: Received,

    /// Believe proxies in this network when they tell by the PROXY protocol whose connection they pass on. Can be given more than once.
    ///
    /// A network is an address, or one with the number of its leading bits, such as 10.0.0.0/8. A connection from there has to begin with
    /// a header of version 1 or 2, before TLS too, within 5 seconds; the address in it is then the client's. One from elsewhere must not.
    #[arg(long, value_name = "NETWORK")]
    pub(super) proxy_protocol_from: Vec<Network>,

    /// The most connections at a time; one more gets 421
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_connections: u32,

    /// The most connections at a time from one address. Without it, only --max-connections counts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_connections_per_address: Option<u32>,

    /// Of a hundred places that --max-connections gives, how many may be taken until clients get less time: ten seconds for a command,
    /// and three errors. `off` treats them alike
    #[arg(long, value_name = "PERCENT|off", default_value = "80", value_parser = stress)]
    pub(super) stress: u8,

    /// Threads that serve connections. Without it, one for each processor but one
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<NonZeroUsize>,

    /// Answer by the rules of this file: any reply, or none, at any stage, for tests of clients. The book tells what they can do
    #[arg(long, value_name = "FILE")]
    pub(super) rules: Option<PathBuf>,

    /// Look whether --rules can be read, and what is unusual in it, and serve nobody
    #[arg(long, requires = "rules")]
    pub(super) check_rules: bool,

    /// What rules leave to chance begins with this number: the same one gives the same answers
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,

    /// How many seconds messages may take to end after a signal
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(super) drain: u64,

    /// Listen where other hosts can connect, too
    #[arg(long)]
    pub(super) allow_remote: bool,

    /// End as after a signal when the standard input ends: for a program that starts this one, however it ends itself
    #[arg(long, hide = true)]
    pub(super) until_eof: bool,

    /// What is logged on the standard error: off, error, warn, info, debug or trace. Never messages or passwords.
    ///
    /// At info it is a line for each message, for each refusal and for the end of each connection.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(super) log_level: LevelFilter,

    /// How the log is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) log_format: log::Format,

    /// The most log lines that one address may cause in a minute; behind it a line tells how many more there were. 0 is any number
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) log_lines: u32,

    /// Where to answer GET /metrics for Prometheus, as IP:PORT
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(super) metrics: Option<SocketAddr>,
}

/// An IP address with a port. A name is none: it may have several addresses, and not all on loopback.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "an address to listen on is IP:PORT, such as 127.0.0.1:2525 or [::1]:0")
}

/// A number of bytes with an optional unit of 1024.
fn bytes(text: &str) -> Result<u64, &'static str> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| "a size is a number, perhaps with K, M or G behind it")?;
    number.checked_shl(shift).filter(|bytes| bytes >> shift == number && number > 0).ok_or("the size is out of range")
}

/// How many `Received:` fields a message may have, if they are counted. A type of its own, since clap reads an `Option` as one that may be
/// left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received(pub(super) Option<u32>);

/// A number, or `off`.
fn received(text: &str) -> Result<Received, &'static str> {
    match text {
        "off" => Ok(Received(None)),
        _ => text.parse().map(|most| Received(Some(most))).map_err(|_| "the most Received fields are a number, or off"),
    }
}

/// A share in hundredths, or `off`.
fn stress(text: &str) -> Result<u8, &'static str> {
    match text {
        "off" => Ok(100),
        _ => text.parse().ok().filter(|share| *share <= 100).ok_or("the share of the places is 0 to 100, or off"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("1"), Ok(1));
        assert_eq!(bytes("64k"), Ok(65_536));
        assert_eq!(bytes("50M"), Ok(52_428_800));
        assert_eq!(bytes("2G"), Ok(2_147_483_648));
        for wrong in ["", "M", "-1", "0", "1T", "18446744073709551615K", "1.5M"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_numbers_with_a_port() {
        for good in ["127.0.0.1:0", "[::1]:2525"] {
            assert_eq!(address(good).map(|it| it.to_string()).as_deref(), Ok(good));
        }
        for wrong in ["127.0.0.1", "localhost:2525", "::1:2525:", "127.0.0.1:80000", ""] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn received_fields_are_counted_or_not() {
        assert_eq!(received("50"), Ok(Received(Some(50))));
        assert_eq!(received("off"), Ok(Received(None)));
        for wrong in ["", "on", "-1", "4294967296"] {
            assert!(received(wrong).is_err(), "{wrong}");
        }
    }
}
