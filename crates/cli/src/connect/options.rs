//! Options of a connection.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Whether a connection is inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsMode {
    /// In clear
    Off,
    /// By STARTTLS where the server offers it, whoever it is; else in clear
    Opportunistic,
    /// By STARTTLS, with a server that was verified
    Required,
    /// From the first byte on, with a server that was verified
    Implicit,
}

/// How a server is reached.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Inside TLS or not. Without it: implicit on port 465; required on port 587, and with --auth or --require-tls; off over a socket of the file
    /// system; else opportunistic, as servers do among each other
    #[arg(long, value_name = "MODE", help_heading = "TLS")]
    pub(crate) tls: Option<TlsMode>,

    /// Trust the authorities, or the very certificate, of this PEM file, and not those of this host
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) tls_ca: Option<PathBuf>,

    /// The name that the server's certificate must have, if not the one that was connected to
    #[arg(long, value_name = "NAME", help_heading = "TLS")]
    pub(crate) tls_name: Option<String>,

    /// Go on with a server that can't be verified. No password is sent to it in clear
    #[arg(long, help_heading = "TLS")]
    pub(crate) tls_insecure: bool,

    /// Show this certificate chain (PEM) to a server that asks for one
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Its key (PEM), if it is not in the same file
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "TLS")]
    pub(crate) tls_key: Option<PathBuf>,

    /// The name for EHLO: a domain, or an address in brackets. Without it, the address of this end
    #[arg(long, value_name = "NAME", alias = "hello", alias = "helo", help_heading = "Session")]
    pub(crate) ehlo_name: Option<String>,

    /// Speak LMTP (RFC 2033)
    #[arg(long, help_heading = "Session")]
    pub(crate) lmtp: bool,

    /// Wait for each reply before the next command, even if the server offers PIPELINING
    #[arg(long, help_heading = "Session")]
    pub(crate) no_pipelining: bool,

    /// Send messages by DATA, even if the server offers CHUNKING
    #[arg(long, help_heading = "Session")]
    pub(crate) no_chunking: bool,

    /// Seconds to wait for each reply, and for a piece of the message to be taken. Without it, as long as RFC 5321 wants: 2 to 10 minutes
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Session")]
    pub(crate) timeout: Option<f64>,

    /// Seconds to wait for the connection [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Session")]
    pub(crate) connect_timeout: Option<f64>,
}

/// Who logs in.
#[derive(Clone, Debug, Args)]
pub(crate) struct AuthOptions {
    /// Log in as this user, by the strongest mechanism that the server offers. The password comes from --password-file, or from EHLO_PASSWORD, or is asked
    /// for on the terminal. USER:PASSWORD is taken as well, but others on this host can read it there
    #[arg(long, value_name = "USER", help_heading = "Log-in")]
    pub(crate) auth: Option<String>,

    /// The password is the first line of this file
    #[arg(long, value_name = "FILE", requires = "auth", help_heading = "Log-in")]
    pub(crate) password_file: Option<PathBuf>,

    /// Log in by an OAuth 2.0 access token, the first line of this file (OAUTHBEARER, XOAUTH2)
    #[arg(long, value_name = "FILE", requires = "auth", conflicts_with = "password_file", help_heading = "Log-in")]
    pub(crate) token_file: Option<PathBuf>,

    /// By this mechanism and no other. EXTERNAL goes by --tls-cert and needs no --auth
    #[arg(long, value_name = "NAME", help_heading = "Log-in")]
    pub(crate) auth_mechanism: Option<String>,

    /// Let the password go in clear outside of TLS, or to a server that was not verified
    #[arg(long, help_heading = "Log-in")]
    pub(crate) auth_plaintext: bool,
}

impl AuthOptions {
    pub(crate) fn is_wanted(&self) -> bool {
        self.auth.is_some() || self.auth_mechanism.as_ref().is_some_and(|name| name.eq_ignore_ascii_case("EXTERNAL"))
    }
}

fn seconds(text: &str) -> Result<f64, &'static str> {
    const MOST: f64 = 86400.0;
    match text.parse() {
        Ok(seconds) if (0.001..=MOST).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds, up to a day"),
    }
}
