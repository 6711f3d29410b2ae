//! Where a pool's connections lead, and how.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use ehlo_client::{Config, LineEndings};

use crate::client::{Client, Login, SendError, Tls};

/// Where connections lead, and what is the same for all of them: TLS, credentials, and how a session is held. Connections are shared by targets
/// that are equal.
#[derive(Clone, Debug)]
#[must_use]
pub struct Target(Arc<Inside>);

#[derive(Clone, Debug)]
struct Inside {
    address: String,
    hello: Option<String>,
    tls: Tls,
    login: Option<Login>,
    source: Option<IpAddr>,
    config: Option<Arc<Config>>,
    endings: LineEndings,
}

impl Target {
    /// `host:port`, in clear and without a log-in.
    pub fn new(address: &str) -> Self {
        Self(Arc::new(Inside {
            address: address.to_owned(),
            hello: None,
            tls: Tls::Off,
            login: None,
            source: None,
            config: None,
            endings: LineEndings::Refuse,
        }))
    }

    fn change(mut self, change: impl FnOnce(&mut Inside)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Inside TLS. Targets are equal if they share their [`Trust`](crate::client::Trust), by a clone.
    pub fn tls(self, tls: Tls) -> Self {
        self.change(|inside| inside.tls = tls)
    }

    /// With a log-in.
    pub fn login(self, login: Login) -> Self {
        self.change(|inside| inside.login = Some(login))
    }

    /// With that name for EHLO. Without, the address of this end is said.
    pub fn hello(self, name: &str) -> Self {
        self.change(|inside| inside.hello = Some(name.to_owned()))
    }

    /// From that address of this host.
    pub fn source(self, source: IpAddr) -> Self {
        self.change(|inside| inside.source = Some(source))
    }

    /// With that configuration of the session. Targets are equal if they share it.
    pub fn config(self, config: Arc<Config>) -> Self {
        self.change(|inside| inside.config = Some(config))
    }

    /// What is done with a CR or LF in a message that stands alone.
    pub fn line_endings(self, endings: LineEndings) -> Self {
        self.change(|inside| inside.endings = endings)
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }

    pub(super) async fn connect(&self) -> Result<Client, SendError> {
        let inside = &*self.0;
        let mut builder = Client::builder().tls(inside.tls.clone()).line_endings(inside.endings);
        if let Some(config) = &inside.config {
            builder = builder.config(Arc::clone(config));
        }
        if let Some(name) = &inside.hello {
            builder = builder.hello(name);
        }
        if let Some(login) = &inside.login {
            builder = builder.login(login.clone());
        }
        if let Some(source) = inside.source {
            builder = builder.source(source);
        }
        builder.connect(&inside.address).await
    }

    /// What two have in common that are equal, but for the credentials.
    fn key(&self) -> (&str, Option<&str>, (u8, usize), Option<IpAddr>, usize, LineEndings) {
        let inside = &*self.0;
        let tls = match &inside.tls {
            Tls::Opportunistic(trust) => (1, trust.id()),
            Tls::Required(trust) => (2, trust.id()),
            Tls::Implicit(trust) => (3, trust.id()),
            _ => (0, 0),
        };
        let config = inside.config.as_ref().map_or(0, |config| Arc::as_ptr(config) as usize);
        (&inside.address, inside.hello.as_deref(), tls, inside.source, config, inside.endings)
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.key() == other.key() && self.0.login == other.0.login)
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
        // Of the credentials no more than whose they are.
        self.0.login.as_ref().map(Login::name).hash(state);
    }
}
