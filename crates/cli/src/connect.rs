//! How a server is reached: options, and what is made of them.

mod options;
mod target;

use std::time::Duration;

use ehlo_tokio::client::{Builder, Client, Login, Observer, SendError, Tls, Trust, TrustError};
use ehlo_tokio::ehlo_client::codec::PathFault;
use ehlo_tokio::ehlo_client::{Config, Timeouts};
use ehlo_tokio::ehlo_sasl::{Credentials, Mechanism};
use tokio::net::{TcpStream, UnixStream};

pub(crate) use self::options::{AuthOptions, Options, TlsMode, seconds};
pub(crate) use self::target::Target;
use crate::failure::{EX_NOINPUT, Failure};
use crate::password;

/// How long making a connection may take, unless told otherwise.
const CONNECT: Duration = Duration::from_secs(60);

/// What holds for all connections to a server.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) target: Target,
    pub(crate) mode: TlsMode,
    trust: Option<Trust>,
    tls_name: Option<String>,
    login: Option<Login>,
    hello: Option<String>,
    connect_timeout: Duration,
    timeouts: Option<Timeouts>,
    pipelining: bool,
    chunking: bool,
    lmtp: bool,
}

impl Connector {
    /// Looks at all that can be looked at before there is a connection: names, files, and the password. `required` has TLS required by default.
    pub(crate) fn new(target: Target, options: &Options, auth: &AuthOptions, required: bool) -> Result<Self, Failure> {
        if let Some(name) = &options.ehlo_name {
            Config::new(name)
                .map_err(|fault: PathFault| Failure::usage(format_args!("--ehlo-name {name}: {fault}")))?;
        }
        let wants_login = auth.is_wanted();
        let mode =
            options.tls.unwrap_or_else(|| default_mode(&target, required || wants_login && !auth.auth_plaintext));
        if options.lmtp && target.port() == Some(25) {
            return Err(Failure::usage(
                "LMTP is not spoken on port 25 (RFC 2033 §5): say another port, or a socket's path",
            ));
        }
        let trust = match mode {
            TlsMode::Off => None,
            _ => Some(trust(options, mode)?),
        };
        let seconds = |seconds: Option<f64>| match seconds.map(Duration::try_from_secs_f64).transpose() {
            Ok(time) if time.is_none_or(|time| !time.is_zero()) => Ok(time),
            _ => Err(Failure::usage("a time is a number of seconds above 0")),
        };
        Ok(Self {
            login: if wants_login { Some(login(auth)?) } else { None },
            target,
            mode,
            trust,
            tls_name: options.tls_name.clone(),
            hello: options.ehlo_name.clone(),
            connect_timeout: seconds(options.connect_timeout)?.unwrap_or(CONNECT),
            timeouts: seconds(options.timeout)?.map(each),
            pipelining: !options.no_pipelining,
            chunking: !options.no_chunking,
            lmtp: options.lmtp,
        })
    }

    fn builder(&self, observer: Observer) -> Builder {
        let tls = match (self.mode, &self.trust) {
            (TlsMode::Opportunistic, Some(trust)) => Tls::Opportunistic(trust.clone()),
            (TlsMode::Required, Some(trust)) => Tls::Required(trust.clone()),
            (TlsMode::Implicit, Some(trust)) => Tls::Implicit(trust.clone()),
            _ => Tls::Off,
        };
        let mut builder = Client::builder().tls(tls).observer(observer).connect_timeout(self.connect_timeout);
        if let Some(name) = &self.hello {
            builder = builder.hello(name);
        }
        if let Some(login) = &self.login {
            builder = builder.login(login.clone());
        }
        if let Some(timeouts) = self.timeouts {
            builder = builder.timeouts(timeouts);
        }
        if !self.pipelining {
            builder = builder.no_pipelining();
        }
        if !self.chunking {
            builder = builder.no_chunking();
        }
        if self.lmtp { builder.lmtp() } else { builder }
    }

    /// Connects, and says EHLO, within TLS and logged in if that is wanted.
    pub(crate) async fn connect(&self, observer: Observer) -> Result<Client, ConnectError> {
        let builder = self.builder(observer);
        let time = self.connect_timeout;
        match &self.target {
            Target::Unix(path) => {
                let stream = match tokio::time::timeout(time, UnixStream::connect(path)).await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => {
                        return Err(ConnectError::new(format!("cannot connect to {}: {error}", self.target), None));
                    }
                    Err(_) => return Err(ConnectError::late(&self.target, time)),
                };
                let name = self.tls_name.as_deref().unwrap_or("localhost");
                builder.over(stream, name).await.map_err(|error| self.session_error(error))
            }
            Target::Tcp { host, port } => {
                // Looked up here and not with the connection, to tell the two failures apart.
                let lookup = tokio::net::lookup_host((host.as_str(), *port));
                let addresses: Vec<_> = match tokio::time::timeout(time, lookup).await {
                    Ok(Ok(addresses)) => addresses.collect(),
                    Ok(Err(error)) => return Err(ConnectError::new(format!("no such host: {host}: {error}"), None)),
                    Err(_) => return Err(ConnectError::late(&self.target, time)),
                };
                let name = self.tls_name.as_deref().unwrap_or(host);
                builder.connect_address(&addresses[..], name).await.map_err(|error| self.session_error(error))
            }
        }
    }

    /// Says EHLO over a connection to a host of that name, within TLS if that is wanted.
    pub(crate) async fn over(&self, stream: TcpStream, name: &str, observer: Observer) -> Result<Client, SendError> {
        self.builder(observer).over(stream, self.tls_name.as_deref().unwrap_or(name)).await
    }

    fn session_error(&self, error: SendError) -> ConnectError {
        match error {
            SendError::Connect(cause) => ConnectError::new(format!("cannot connect to {}: {cause}", self.target), None),
            error => {
                let hint = self.hint(&error);
                ConnectError::new(format!("{}: {error}{hint}", self.target), Some(error))
            }
        }
    }

    /// What to do about it.
    fn hint(&self, error: &SendError) -> &'static str {
        use ehlo_tokio::client::LoginError;
        use ehlo_tokio::ehlo_client::CloseReason;
        match error {
            SendError::Closed(CloseReason::TlsNotAvailable(_))
            | SendError::Refused(CloseReason::TlsNotAvailable(_), _) => "; --tls opportunistic goes on without",
            SendError::Tls(text) if text.contains("certificate") => {
                "; --tls-ca names who is trusted, --tls-name the name that it has, --tls-insecure does without"
            }
            SendError::Login(LoginError::OnlyInClear) => "; --tls required gives that, --auth-plaintext does without",
            SendError::Login(LoginError::NotOffered) if self.mode == TlsMode::Off => {
                "; it may inside TLS: --tls required"
            }
            _ => "",
        }
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct ConnectError {
    pub(crate) text: String,
    pub(crate) error: Option<SendError>,
}

impl ConnectError {
    fn new(text: String, error: Option<SendError>) -> Self {
        Self { text, error }
    }

    fn late(target: &Target, time: Duration) -> Self {
        Self::new(format!("cannot connect to {target}: no answer within {time:?}"), None)
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.error.as_ref().map_or(crate::failure::EX_TEMPFAIL, crate::failure::exit_code)
    }
}

/// Port 465 is for TLS from the first byte on (RFC 8314 §3.3). Submission wants it verified (§3), and so does whoever shows a password; servers among each
/// other have to take what there is (RFC 7435).
fn default_mode(target: &Target, required: bool) -> TlsMode {
    match target.port() {
        None => TlsMode::Off,
        Some(465) => TlsMode::Implicit,
        Some(587) => TlsMode::Required,
        Some(_) if required => TlsMode::Required,
        Some(_) => TlsMode::Opportunistic,
    }
}

fn trust(options: &Options, mode: TlsMode) -> Result<Trust, Failure> {
    let fail = |error: TrustError| Failure::new(EX_NOINPUT, error);
    let mut builder = Trust::builder();
    if let Some(file) = &options.tls_ca {
        builder = builder.authorities(file).map_err(fail)?;
    }
    if let Some(chain) = &options.tls_cert {
        builder = builder.identity(chain, options.tls_key.as_ref().unwrap_or(chain)).map_err(fail)?;
    }
    if options.tls_insecure || mode == TlsMode::Opportunistic {
        builder = builder.accept_unverified();
    }
    builder.build().map_err(fail)
}

fn login(auth: &AuthOptions) -> Result<Login, Failure> {
    let read = |path: &std::path::Path| {
        password::from_file(path).map_err(|error| Failure::new(EX_NOINPUT, format_args!("{}: {error}", path.display())))
    };
    let mechanism = match &auth.auth_mechanism {
        None => None,
        Some(name) => Some(name.to_ascii_uppercase().parse::<Mechanism>().map_err(|_| {
            Failure::usage(format_args!(
                "--auth-mechanism {name}: not one of those that are known here (see ehlo explain)"
            ))
        })?),
    };
    let given = auth.auth.as_deref().unwrap_or_default();
    let credentials = if let Some(file) = &auth.token_file {
        Credentials::bearer(given, read(file)?)
    } else if mechanism == Some(Mechanism::External) {
        Credentials::External { authorization_id: Some(given.to_owned()).filter(|name| !name.is_empty()) }
    } else if let Some(file) = &auth.password_file {
        Credentials::password(given, read(file)?)
    } else if let Some((name, password)) = given.split_once(':') {
        Credentials::password(name, password)
    } else if let Ok(password) = std::env::var("EHLO_PASSWORD") {
        Credentials::password(given, password)
    } else {
        let password = password::from_terminal(&format!("Password of {given}: ")).map_err(|error| {
            Failure::usage(format_args!(
                "no password for {given}: say --password-file, or set EHLO_PASSWORD; there is no terminal to ask on ({error})"
            ))
        })?;
        Credentials::password(given, password.trim_end_matches(['\r', '\n']))
    };
    let login = Login::new(credentials).plaintext_without_tls(auth.auth_plaintext);
    Ok(match mechanism {
        Some(mechanism) => login.mechanism(mechanism),
        None => login,
    })
}

/// The same time for everything.
fn each(time: Duration) -> Timeouts {
    Timeouts {
        greeting: time,
        ehlo: time,
        tls: time,
        auth: time,
        mail: time,
        rcpt: time,
        data: time,
        block: time,
        end_of_data: time,
        quit: time.min(Timeouts::default().quit),
        ..Timeouts::default()
    }
}
