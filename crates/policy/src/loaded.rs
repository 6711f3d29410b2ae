//! A file that was read and found good.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use ehlo_tokio::Network;
use ehlo_tokio::ehlo_server::{Config, TlsMode};
use ehlo_tokio::tls::TlsConfig;
use toml::Spanned;

use crate::check::{self, Serving};
use crate::config::{ConfigFile, Problems, Verification};
use crate::place::Places;
use crate::plan::Plan;
use crate::rules::{self, Remark, Rules};

/// Octets of a file.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// A file that was read and found good, and not put into force yet: [`FilePolicy`](crate::FilePolicy) does that.
pub struct Loaded {
    pub(crate) plan: Plan,
    pub(crate) serving: Serving,
    rules: Rules,
    remarks: Vec<Remark>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("serving", &self.serving).finish_non_exhaustive()
    }
}

impl Loaded {
    /// Reads a file, and the files that it names. Paths in it that are not absolute begin in its folder. Nothing is made and nothing
    /// changed. Blocks.
    ///
    /// # Errors
    ///
    /// [`Problems`]: all of them.
    pub fn read(path: &Path, places: &Places) -> Result<Self, Problems> {
        let name = path.display().to_string();
        let read = || {
            if std::fs::metadata(path)?.len() > MAX_FILE {
                return Err(std::io::Error::other("it is larger than 16 MiB"));
            }
            std::fs::read_to_string(path)
        };
        let text = read().map_err(|error| Problems::unreadable(&name, &error))?;
        Self::parse(&name, &text, path.parent().unwrap_or(Path::new("")), places)
    }

    /// The same for a text. The name is what it is called in [`Problems`], the folder where its paths begin.
    ///
    /// # Errors
    ///
    /// [`Problems`]: all of them.
    pub fn parse(name: &str, text: &str, folder: &Path, places: &Places) -> Result<Self, Problems> {
        let (file, problems) = ConfigFile::read(text);
        match check::check(&file, folder, places, problems) {
            Ok((plan, serving)) => {
                let remarks = rules::remarks(text, &file.rule);
                let rules = Rules::new(file.rule.into_iter().map(Spanned::into_inner));
                Ok(Self { plan, serving, rules, remarks })
            }
            Err(problems) => Err(Problems::new(name, text, problems)),
        }
    }

    /// Whether it takes mail for anybody from anybody.
    #[must_use]
    pub const fn accepts_all(&self) -> bool {
        self.plan.accept_all.is_some()
    }

    /// Its `[[rule]]`s, with the seed 0: for a [`Ruled`](crate::Ruled) in front of the policy.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What is unusual in its `[[rule]]`s, and may be meant.
    #[must_use]
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// The settings of sessions.
    #[must_use]
    pub const fn session(&self) -> &Config {
        &self.serving.session
    }

    /// The same, to be changed before they are put into force.
    pub const fn session_mut(&mut self) -> &mut Config {
        &mut self.serving.session
    }

    /// Puts all mail that is not relayed into this place, whatever the file says. It is one that [`Places::insert`] was given.
    pub fn keep_all_in(&mut self, place: &str) {
        self.plan.keep_all_in(place);
    }

    /// Has clients shown these certificates, whatever the file says.
    pub fn set_tls(&mut self, tls: TlsConfig) {
        if !self.serving.session.tls.has_starttls() {
            self.serving.session.tls = TlsMode::StartTls;
        }
        self.serving.session.requiretls = true;
        self.serving.tls = Some(tls);
    }

    /// Whether it asks something of DNS.
    #[must_use]
    pub fn needs_resolver(&self) -> bool {
        !self.plan.lists.is_empty() || self.plan.senders.verify_domain != Verification::Off
    }

    /// `server.listen`.
    #[must_use]
    pub fn listen(&self) -> Option<&[SocketAddr]> {
        self.serving.listen.as_deref()
    }

    /// `server.listen_tls`.
    #[must_use]
    pub fn listen_tls(&self) -> &[SocketAddr] {
        &self.serving.listen_tls
    }

    /// `server.proxies`.
    #[must_use]
    pub fn proxies(&self) -> &[Network] {
        &self.serving.proxies
    }

    /// `server.max_connections`.
    #[must_use]
    pub const fn max_connections(&self) -> Option<usize> {
        self.serving.max_connections
    }

    /// `server.max_connections_per_address`.
    #[must_use]
    pub const fn max_connections_per_address(&self) -> Option<usize> {
        self.serving.max_connections_per_address
    }

    /// `server.threads`.
    #[must_use]
    pub const fn threads(&self) -> Option<NonZeroUsize> {
        self.serving.threads
    }

    /// `server.drain`.
    #[must_use]
    pub const fn drain(&self) -> Option<Duration> {
        self.serving.drain
    }

    /// `[tls]`.
    #[must_use]
    pub const fn tls(&self) -> Option<&TlsConfig> {
        self.serving.tls.as_ref()
    }
}
