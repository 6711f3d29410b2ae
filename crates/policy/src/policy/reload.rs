//! Putting a file into force, first and again.

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use ehlo_tokio::ehlo_sasl::Mechanism;
use ehlo_tokio::store::FileOps;
use ehlo_tokio::tls::TlsConfig;
use ehlo_tokio::{Network, Settings};

use super::{FilePolicy, Live, clock};
use crate::check::Serving;
use crate::deliver::Maildirs;
use crate::dns::{Cache, Resolver};
use crate::loaded::Loaded;
use crate::place::Places;
use crate::usage::{Holder, Usage};
use crate::users::Users;

/// What a server can't change while it runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    listen: Option<Vec<SocketAddr>>,
    listen_tls: Vec<SocketAddr>,
    proxies: Vec<Network>,
    max_connections: Option<usize>,
    max_connections_per_address: Option<usize>,
    threads: Option<NonZeroUsize>,
    drain: Option<Duration>,
    tls: bool,
    /// Mechanisms, and how many passwords are verified at the same time.
    auth: Option<(Vec<Mechanism>, usize)>,
}

impl Fixed {
    fn of(serving: &Serving) -> Self {
        Self {
            listen: serving.listen.clone(),
            listen_tls: serving.listen_tls.clone(),
            proxies: serving.proxies.clone(),
            max_connections: serving.max_connections,
            max_connections_per_address: serving.max_connections_per_address,
            threads: serving.threads,
            drain: serving.drain,
            tls: serving.tls.is_some(),
            auth: serving.auth.as_ref().map(|auth| (auth.mechanisms.clone(), auth.max_verifications)),
        }
    }

    /// The keys that differ.
    fn differences(&self, other: &Self) -> Vec<&'static str> {
        let rows = [
            ("server.listen", self.listen != other.listen),
            ("server.listen_tls", self.listen_tls != other.listen_tls),
            ("server.proxies", self.proxies != other.proxies),
            ("server.max_connections", self.max_connections != other.max_connections),
            (
                "server.max_connections_per_address",
                self.max_connections_per_address != other.max_connections_per_address,
            ),
            ("server.threads", self.threads != other.threads),
            ("server.drain", self.drain != other.drain),
            ("[tls]", self.tls != other.tls),
            ("[auth]", self.auth != other.auth),
        ];
        rows.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

/// Makes a [`FilePolicy`].
#[must_use]
pub struct Builder<F: FileOps> {
    loaded: Loaded,
    places: Places,
    files: F,
    resolver: Option<Arc<dyn Resolver>>,
    wall_clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl<F: FileOps> std::fmt::Debug for Builder<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("loaded", &self.loaded).finish_non_exhaustive()
    }
}

impl<F: FileOps> Builder<F> {
    pub(super) fn new(loaded: Loaded, places: Places, files: F) -> Self {
        Self { loaded, places, files, resolver: None, wall_clock: Arc::new(SystemTime::now) }
    }

    /// Asks this one about lists and senders. Without it, nobody is on a list, and every sender's domain is taken for one.
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Has maildirs on this file system, in place of the machine's: for tests that make it fail.
    pub fn files<G: FileOps>(self, files: G) -> Builder<G> {
        let Self { loaded, places, resolver, wall_clock, .. } = self;
        Builder { loaded, places, files, resolver, wall_clock }
    }

    /// Asks this clock for the time of day, which grants end by.
    pub fn wall_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.wall_clock = Arc::new(clock);
        self
    }

    /// Puts the file into force: opens all places, and counts what there is already. Blocks.
    ///
    /// # Errors
    ///
    /// What can't be opened, and why.
    pub fn build(self) -> Result<FilePolicy<F>, String> {
        let Self { loaded: Loaded { mut plan, mut serving, .. }, places, files, resolver, wall_clock } = self;
        let fixed = Fixed::of(&serving);
        serving.session.hostname().clone_into(&mut plan.hostname);
        plan.open(&places)?;
        let users = serving.auth.take().map(|auth| {
            let tables = [&auth.users, auth.file.as_ref().map_or(&auth.users, |(_, table)| table)];
            let users = Users::new(auth.mechanisms, auth.secret, auth.max_verifications).with_iterations_of(tables);
            users.replace(auth.users, auth.file);
            Arc::new(users)
        });
        let usage = Arc::new(Usage::default());
        if let Some((holder, _)) = &plan.total {
            usage.count(clock(), holder);
        }
        let live = Live {
            current: RwLock::new(Arc::new(plan)),
            places,
            maildirs: Arc::new(Maildirs::new(files)),
            usage,
            repeats: Arc::default(),
            cache: Cache::default(),
            resolver,
            users,
            // The hasher's keys are the standard library's only source of randomness.
            seed: RandomState::new().hash_one(()),
            wall_clock,
            space: Mutex::default(),
            fixed,
        };
        Ok(FilePolicy { live: Arc::new(live) })
    }
}

impl<F: FileOps> FilePolicy<F> {
    /// Puts another version of the file into force, all of it at once: for transactions that begin from now on. Those that are open keep to
    /// the version that they began with; connections stay open. What is counted goes on where it is counted in the same way. Blocks.
    ///
    /// `settings` are those of the server, and `tls` its certificates. Gives the keys that were changed and need a restart.
    ///
    /// # Errors
    ///
    /// A place that can't be opened. Then nothing has changed.
    pub fn reload(
        &self,
        loaded: Loaded,
        settings: &Settings,
        tls: Option<&TlsConfig>,
    ) -> Result<Vec<&'static str>, String> {
        let live = &self.live;
        let Loaded { mut plan, mut serving, .. } = loaded;
        serving.session.hostname().clone_into(&mut plan.hostname);
        let needs_restart = live.fixed.differences(&Fixed::of(&serving));
        plan.open(&live.places)?;
        plan.adopt(&live.plan());
        if let Some((holder, _)) = &plan.total {
            live.usage.count(clock(), holder);
        }
        let held: std::collections::HashSet<Arc<Holder>> = plan
            .directory
            .mailboxes
            .iter()
            .filter_map(|mailbox| match &mailbox.keeps {
                crate::directory::Keeps::Maildir(_, holder) => Some(Arc::clone(holder)),
                crate::directory::Keeps::Place(_) => None,
            })
            .chain(plan.total.iter().map(|(holder, _)| Arc::clone(holder)))
            .collect();
        // From here on nothing fails.
        if let (Some(users), Some(auth)) = (&live.users, serving.auth.take()) {
            users.replace(auth.users, auth.file);
        }
        if let (Some(tls), Some(new)) = (tls, &serving.tls) {
            tls.replace(new);
        }
        *live.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
        settings.replace(serving.session);
        live.usage.keep(|holder| held.contains(holder));
        Ok(needs_restart)
    }
}
