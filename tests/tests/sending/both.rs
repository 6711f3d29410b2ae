//! Either driver, behind the same calls.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ehlo_tokio::client::{Envelope, Login, Observed, Report, SendError, Tls};
use ehlo_tokio::ehlo_client::{CloseReason, LineEndings, TlsInfo};

use crate::world::NAME;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Tokio,
    Blocking,
}

pub(crate) const DRIVERS: [Driver; 2] = [Driver::Tokio, Driver::Blocking];

/// What is not as usual.
#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) tls: Tls,
    pub(crate) login: Option<Login>,
    pub(crate) ahead: usize,
    pub(crate) normalize: bool,
    pub(crate) no_chunking: bool,
    pub(crate) no_pipelining: bool,
}

pub(crate) enum Client {
    Tokio(tokio::runtime::Runtime, ehlo_tokio::client::Client),
    Blocking(ehlo_blocking::Client),
}

macro_rules! build {
    ($builder:expr, $wanted:expr, $seen:expr) => {{
        let seen = Arc::clone($seen);
        let mut builder = $builder.tls($wanted.tls).ahead($wanted.ahead.max(1)).observer(Box::new(move |observed| {
            let text = match observed {
                Observed::Sent(sent) => String::from_utf8_lossy(sent).into_owned(),
                Observed::Reply(_, reply) => format!("{reply}\n"),
                other => format!("{other:?}\n"),
            };
            seen.lock().unwrap().push_str(&text);
        }));
        if let Some(login) = $wanted.login {
            builder = builder.login(login);
        }
        if $wanted.normalize {
            builder = builder.line_endings(LineEndings::Normalize);
        }
        if $wanted.no_chunking {
            builder = builder.no_chunking();
        }
        if $wanted.no_pipelining {
            builder = builder.no_pipelining();
        }
        builder
    }};
}

impl Driver {
    /// Connects; gives what was seen on the connection, too.
    pub(crate) fn connect(
        self,
        address: SocketAddr,
        wanted: Wanted,
    ) -> (Result<Client, SendError>, Arc<Mutex<String>>) {
        let seen = Arc::new(Mutex::new(String::new()));
        let client = match self {
            Self::Tokio => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let builder = build!(ehlo_tokio::client::Client::builder(), wanted, &seen);
                let client = runtime.block_on(builder.connect_address(address, NAME));
                client.map(|client| Client::Tokio(runtime, client))
            }
            Self::Blocking => {
                let builder = build!(ehlo_blocking::Client::builder(), wanted, &seen);
                builder.connect_address(address, NAME).map(Client::Blocking)
            }
        };
        (client, seen)
    }

    pub(crate) fn connected(self, address: SocketAddr, wanted: Wanted) -> Client {
        self.connect(address, wanted).0.unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }
}

impl Client {
    pub(crate) fn send(&mut self, envelope: &Envelope<'_>, text: &[u8]) -> Result<Report, SendError> {
        match self {
            Self::Tokio(runtime, client) => runtime.block_on(client.send(envelope, text)),
            Self::Blocking(client) => client.send(envelope, text),
        }
    }

    /// From a reader, whose length is told or not.
    pub(crate) fn send_read(&mut self, envelope: &Envelope<'_>, text: &[u8], told: bool) -> Result<Report, SendError> {
        match self {
            Self::Tokio(runtime, client) => {
                let mut body = ehlo_tokio::client::Reader::new(text);
                if told {
                    body = body.with_size(text.len() as u64);
                }
                runtime.block_on(client.send_body(envelope, &mut body))
            }
            Self::Blocking(client) => {
                let mut body = ehlo_blocking::Reader::new(text);
                if told {
                    body = body.with_size(text.len() as u64);
                }
                client.send_body(envelope, &mut body)
            }
        }
    }

    /// From what can be set back.
    pub(crate) fn send_seek(&mut self, envelope: &Envelope<'_>, text: &[u8]) -> Result<Report, SendError> {
        match self {
            Self::Tokio(runtime, client) => runtime.block_on(async {
                let mut body = ehlo_tokio::client::SeekReader::new(std::io::Cursor::new(text)).await.unwrap();
                client.send_body(envelope, &mut body).await
            }),
            Self::Blocking(client) => {
                let mut body = ehlo_blocking::SeekReader::new(std::io::Cursor::new(text)).unwrap();
                client.send_body(envelope, &mut body)
            }
        }
    }

    pub(crate) fn send_all(&mut self, messages: &[(Envelope<'_>, &[u8])]) -> Result<Vec<(usize, Report)>, SendError> {
        let mut reports = Vec::new();
        let report = |number, report| reports.push((number, report));
        match self {
            Self::Tokio(runtime, client) => runtime.block_on(client.send_all(messages, report)),
            Self::Blocking(client) => client.send_all(messages, report),
        }?;
        Ok(reports)
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        match self {
            Self::Tokio(_, client) => client.closed(),
            Self::Blocking(client) => client.closed(),
        }
    }

    pub(crate) fn tls(&self) -> Option<TlsInfo> {
        match self {
            Self::Tokio(_, client) => client.tls().copied(),
            Self::Blocking(client) => client.tls().copied(),
        }
    }

    pub(crate) fn quit(self) -> Result<(), SendError> {
        match self {
            Self::Tokio(runtime, client) => runtime.block_on(client.quit()),
            Self::Blocking(client) => client.quit(),
        }
    }
}
