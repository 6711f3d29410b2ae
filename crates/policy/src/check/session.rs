//! The server and its sessions.

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ehlo_tokio::Network;
use ehlo_tokio::ehlo_sasl::{Mechanism, ScramCredentials, Secret, prepare_name};
use ehlo_tokio::ehlo_server::{Config, Limits, Protocol, Timeouts, TlsMode};
use ehlo_tokio::tls::{ClientCertificates, TlsConfig};

use super::Checker;
use crate::config::{Asking, At, Period, Speech};
use crate::users::{UserTable, read_users};

/// The floor of what a message must be let to hold (RFC 5321 §4.5.3.1.7).
const MIN_MESSAGE: u64 = 64 * 1024;

/// The port of SMTP, on which LMTP is forbidden (RFC 2033 §5).
const SMTP_PORT: u16 = 25;

/// How the server is run.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) session: Config,
    pub(crate) listen: Option<Vec<SocketAddr>>,
    pub(crate) listen_tls: Vec<SocketAddr>,
    pub(crate) proxies: Vec<Network>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) max_connections_per_address: Option<usize>,
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) drain: Option<Duration>,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) auth: Option<AuthPlan>,
}

/// Who can authenticate, and how.
#[derive(Debug)]
pub(crate) struct AuthPlan {
    pub(crate) mechanisms: Vec<Mechanism>,
    pub(crate) secret: Option<Secret>,
    pub(crate) max_verifications: usize,
    pub(crate) users: UserTable,
    pub(crate) file: Option<(PathBuf, UserTable)>,
}

/// A time: what is given, where it goes, the least and the most, and who says so.
type TimeRow<'r> = (&'r Option<At<Period>>, &'r mut Duration, Duration, Duration, &'r str);

fn plain<T: Copy>(value: Option<&At<T>>) -> Option<T> {
    value.map(|value| *value.get_ref())
}

impl Checker<'_> {
    /// `None` if there is something wrong with it.
    pub(super) fn serving(&mut self) -> Option<Serving> {
        let server = &self.file.server;
        let hostname = server.hostname.as_ref().map_or("localhost", |name| name.get_ref());
        let session = match Config::new(hostname) {
            Ok(config) => Some(config),
            Err(error) => {
                let span = server.hostname.as_ref().map_or(0..0, At::span);
                self.problem(
                    span,
                    format!("{hostname:?} is no name of a host: {error}"),
                    "write a domain, or an address in brackets",
                );
                None
            }
        };
        let tls = self.tls(hostname);
        let auth = self.auth();
        let addresses = || server.listen.iter().flatten().chain(&server.listen_tls);
        if let Some(address) = server.listen_tls.first()
            && self.file.tls.is_none()
        {
            self.missing(address.span(), "clients can't begin with TLS without certificates", "add [tls]");
        }
        if plain(server.protocol.as_ref()) == Some(Speech::Lmtp) {
            for address in addresses().filter(|address| address.get_ref().port() == SMTP_PORT) {
                self.problem(address.span(), "LMTP must not be spoken on port 25 (RFC 2033 §5)", "take another port");
            }
        }
        let drain = plain(server.drain.as_ref()).map(|Period(time)| time);
        let mut session = session?;
        self.session(&mut session);
        Some(Serving {
            session,
            listen: server.listen.as_ref().map(|list| list.iter().map(|address| *address.get_ref()).collect()),
            listen_tls: server.listen_tls.iter().map(|address| *address.get_ref()).collect(),
            proxies: server.proxies.iter().map(|net| net.get_ref().0).collect(),
            max_connections: plain(server.max_connections.as_ref()).map(NonZeroUsize::get),
            max_connections_per_address: plain(server.max_connections_per_address.as_ref()).map(NonZeroUsize::get),
            threads: plain(server.threads.as_ref()),
            drain,
            tls: tls?,
            auth: auth?,
        })
    }

    fn session(&mut self, config: &mut Config) {
        let server = &self.file.server;
        if plain(server.protocol.as_ref()) == Some(Speech::Lmtp) {
            config.protocol = Protocol::Lmtp;
        }
        config.expn = server.expn != Asking::Nobody;
        config.etrn = server.etrn != Asking::Nobody;
        if let Some(tls) = &self.file.tls {
            config.tls = if tls.get_ref().required { TlsMode::Required } else { TlsMode::StartTls };
            config.requiretls = true;
        }
        if let Some(auth) = &self.file.auth {
            config.auth.require_auth = auth.get_ref().required;
            config.auth.allow_plaintext_auth = auth.get_ref().allow_plaintext;
        }
        self.limits(&mut config.limits);
        self.timeouts(&mut config.timeouts);
    }

    fn limits(&mut self, limits: &mut Limits) {
        let given = &self.file.limits;
        let floor = |least: u64| if given.below_rfc { 1 } else { least };
        let (message, recipients) = (given.message_size.as_ref(), given.recipients.as_ref());
        if let Some(size) = message {
            limits.message_size = size.get_ref().0;
            if limits.message_size < floor(MIN_MESSAGE) {
                self.below(size, "64K", "RFC 5321 §4.5.3.1.7");
            }
        }
        if let Some(count) = recipients {
            limits.recipients = *count.get_ref() as usize;
            if u64::from(*count.get_ref()) < floor(100) {
                self.below(count, "100", "RFC 5321 §4.5.3.1.8");
            }
        }
        if let Some(count) = &given.auth_failures {
            limits.auth_failures = *count.get_ref();
            if u64::from(*count.get_ref()) < floor(3) {
                self.below(count, "3", "RFC 4954 §9");
            }
        }
        if let Some(count) = &given.received {
            limits.received = Some(*count.get_ref()).filter(|&count| count > 0);
            if limits.received.is_some_and(|count| u64::from(count) < floor(100)) {
                self.below(count, "100, or 0 for any number", "RFC 5321 §6.3");
            }
        }
        limits.transactions = given.messages.as_ref().map(|count| self.within(Some(count), 0, 1, 999_999));
        limits.recipient_domains =
            given.recipient_domains.as_ref().map(|count| self.within(Some(count), 0, 1, 999_999));
        limits.data_rate = self.within(given.data_rate.as_ref(), limits.data_rate, 0, 1_000_000);
        limits.bad_commands = self.within(given.bad_commands.as_ref(), limits.bad_commands, 1, 1_000_000);
        limits.idle_commands = self.within(given.idle_commands.as_ref(), limits.idle_commands, 1, 1_000_000);
        if let Some(envelope) = &given.envelope {
            // 100 recipients of the longest length that there can be.
            const LEAST: u64 = 100 * (64 + 1 + 255);
            limits.envelope = usize::try_from(envelope.get_ref().0).unwrap_or(usize::MAX);
            if envelope.get_ref().0 < floor(LEAST) {
                self.below(envelope, "32000", "RFC 5321 §4.5.3.1.8");
            }
            if envelope.get_ref().0 > 1 << 30 {
                self.problem(envelope.span(), "an envelope of more than 1G can't be kept", "write less");
            }
        }
        // What is refused is read to its end, so that its client sees why.
        limits.refused_body = limits.refused_body.max(limits.message_size.saturating_add(limits.message_size / 4));
    }

    fn below<T>(&mut self, value: &At<T>, least: &str, reference: &str) {
        let what = format!("that is less than a server has to take ({reference})");
        self.problem(
            value.span(),
            what,
            format!("write {least} or more, or limits.below_rfc = true for a test of clients"),
        );
    }

    fn timeouts(&mut self, timeouts: &mut Timeouts) {
        let given = &self.file.timeouts;
        let minutes = |n: u64| Duration::from_secs(60 * n);
        const LONG: Duration = Duration::from_secs(7 * 24 * 3600);
        let free = self.file.limits.below_rfc;
        let instant = Duration::from_millis(1);
        let rows: [TimeRow<'_>; 8] = [
            (&given.command, &mut timeouts.command, minutes(5), LONG, "RFC 5321 §4.5.3.2.7"),
            (&given.body, &mut timeouts.body, minutes(3), LONG, "RFC 5321 §4.5.3.2.5"),
            (&given.slow_body, &mut timeouts.slow_body, minutes(1), LONG, "a message takes a while"),
            (&given.flush, &mut timeouts.flush, minutes(1), LONG, "a network may be slow"),
            (
                &given.answer,
                &mut timeouts.answer,
                instant,
                minutes(5),
                "RFC 5321 §4.5.3.2.2: the client waits no longer",
            ),
            (
                &given.commit,
                &mut timeouts.commit,
                instant,
                minutes(10),
                "RFC 5321 §4.5.3.2.6: the client waits no longer",
            ),
            (&given.sink, &mut timeouts.sink, instant, minutes(3), "RFC 5321 §4.5.3.2.5: the client waits no longer"),
            (&given.handshake, &mut timeouts.handshake, Duration::from_secs(10), LONG, "two round trips may be slow"),
        ];
        for (value, place, least, most, reference) in rows {
            let Some(value) = value else { continue };
            let Period(time) = *value.get_ref();
            *place = time;
            let least = if free { instant } else { least };
            if time < least || time > most {
                let what = format!("{time:?} is out of range ({reference})");
                let remedy = if free || time > most {
                    format!("write {least:?} to {most:?}")
                } else {
                    format!("write {least:?} to {most:?}, or limits.below_rfc = true for a test of clients")
                };
                self.problem(value.span(), what, remedy);
            }
        }
    }

    /// The outer `None` says that there is something wrong with it.
    fn tls(&mut self, hostname: &str) -> Option<Option<TlsConfig>> {
        let Some(given) = &self.file.tls else { return Some(None) };
        let tls = given.get_ref();
        if tls.certificates.is_empty() && !tls.self_signed {
            self.missing(
                given.span(),
                "there is no certificate",
                "add certificates = [{ chain = \"...\", key = \"...\" }]",
            );
            return None;
        }
        let mut builder = TlsConfig::builder();
        for certificate in &tls.certificates {
            let certificate = certificate.get_ref();
            builder = builder.pem_files(self.path(certificate.chain.get_ref()), self.path(certificate.key.get_ref()));
        }
        if tls.self_signed {
            builder = self.self_signed(builder, hostname, given)?;
        }
        if let Some(authorities) = &tls.client_ca {
            builder = builder.client_ca(self.path(authorities.get_ref()), ClientCertificates::Optional);
        }
        match builder.build() {
            Ok(built) => Some(Some(built)),
            Err(error) => {
                let files = tls.certificates.iter().flat_map(|pair| [&pair.get_ref().chain, &pair.get_ref().key]);
                let about = files.chain(&tls.client_ca).find(|path| error.file() == Some(&self.path(path.get_ref())));
                let span = about.map_or(given.span(), At::span);
                self.problem(
                    span,
                    format!("TLS can't be spoken with this: {error}"),
                    "name files that can be read and go together",
                );
                None
            }
        }
    }

    #[cfg(feature = "self-signed")]
    fn self_signed(
        &mut self,
        builder: ehlo_tokio::tls::Builder,
        hostname: &str,
        given: &At<crate::config::Tls>,
    ) -> Option<ehlo_tokio::tls::Builder> {
        // An address literal of SMTP is in brackets; in a certificate it is not.
        match builder.self_signed([hostname.trim_matches(['[', ']'])]) {
            Ok(builder) => Some(builder),
            Err(error) => {
                self.problem(
                    given.span(),
                    format!("no certificate can be made: {error}"),
                    "give server.hostname another value",
                );
                None
            }
        }
    }

    #[cfg(not(feature = "self-signed"))]
    fn self_signed(
        &mut self,
        _: ehlo_tokio::tls::Builder,
        _: &str,
        given: &At<crate::config::Tls>,
    ) -> Option<ehlo_tokio::tls::Builder> {
        self.problem(
            given.span(),
            "this program can't make certificates",
            "name files, or build it with the feature self-signed",
        );
        None
    }

    /// The outer `None` says that there is something wrong with it.
    fn auth(&mut self) -> Option<Option<AuthPlan>> {
        let before = self.problems.len();
        let mut users = UserTable::new();
        for user in &self.file.user {
            let user = user.get_ref();
            let Some(name) = prepare_name(user.name.get_ref()) else {
                self.problem(user.name.span(), "that is no name of a user (RFC 4013)", "write another one");
                continue;
            };
            match ScramCredentials::from_text(user.password.get_ref()) {
                Ok(credentials) => {
                    if users.insert(name, credentials).is_some() {
                        self.problem(user.name.span(), "that user is there already", "leave one of them out");
                    }
                }
                Err(_) => self.problem(
                    user.password.span(),
                    "that is no verifier of a password",
                    "write what `ehlo passwd` makes of it: SCRAM-SHA-256$...",
                ),
            }
        }
        let Some(given) = &self.file.auth else {
            if let Some(user) = self.file.user.first() {
                self.missing(user.get_ref().name.span(), "nobody can authenticate without [auth]", "add it");
            }
            return (self.problems.len() == before).then_some(None);
        };
        let auth = given.get_ref();
        if self.file.tls.is_none() && !auth.allow_plaintext {
            self.missing(
                given.span(),
                "clients authenticate inside of TLS only, and there is none",
                "add [tls], or auth.allow_plaintext = true",
            );
        }
        let mut mechanisms = Vec::new();
        for name in auth.mechanisms.iter().flatten() {
            use Mechanism as M;
            match Mechanism::from_name(name.get_ref().as_bytes()) {
                Some(mechanism @ (M::ScramSha256Plus | M::ScramSha256 | M::Plain | M::Login)) => {
                    mechanisms.push(mechanism)
                }
                _ => self.problem(
                    name.span(),
                    format!("{:?} is no mechanism that a verifier is enough for", name.get_ref()),
                    "write some of SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN, LOGIN",
                ),
            }
        }
        if auth.mechanisms.is_none() {
            mechanisms = vec![Mechanism::ScramSha256Plus, Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login];
        } else if mechanisms.is_empty() {
            self.missing(given.span(), "there is no mechanism", "name one, or leave auth.mechanisms out");
        }
        let file = auth.users_file.as_ref().and_then(|path| {
            let full = self.path(path.get_ref());
            match read_users(&full) {
                Ok(table) => Some((full, table)),
                Err(error) => {
                    self.problem(path.span(), error, "correct it; `ehlo passwd NAME` writes a line");
                    None
                }
            }
        });
        let secret = auth.secret_file.as_ref().and_then(|path| match fs::read(self.path(path.get_ref())) {
            Ok(octets) if (16..=4096).contains(&octets.len()) => Some(Secret::from(octets.as_slice())),
            Ok(_) => {
                self.problem(path.span(), "a secret has 16 to 4096 octets", "write as many, at random");
                None
            }
            Err(error) => {
                self.problem(path.span(), format!("the secret cannot be read: {error}"), "name a file that can");
                None
            }
        });
        let max_verifications = plain(auth.max_verifications.as_ref()).map_or(4, NonZeroUsize::get).min(1024);
        let plan = AuthPlan { mechanisms, secret, max_verifications, users, file };
        (self.problems.len() == before).then_some(Some(plan))
    }
}
