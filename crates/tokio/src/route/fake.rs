//! A network whose hosts do as a test says, in virtual time.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::connector::Connector;

/// What becomes of a connection to an address.
#[derive(Clone, Copy, Debug)]
pub(super) enum Behaviour {
    /// It is there after so many milliseconds.
    Accepts(u64),
    /// It is refused after so many.
    Refuses(u64),
    /// There never is an answer.
    Silent,
}

/// Addresses without a behaviour refuse at once.
#[derive(Clone, Debug)]
pub(super) struct Network {
    hosts: Arc<HashMap<IpAddr, Behaviour>>,
    begun: Instant,
    log: Arc<Mutex<Vec<(u64, String)>>>,
    /// Connections that are there, or being made.
    open: Arc<()>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Stream(#[expect(dead_code, reason = "its number is what counts")] Arc<()>);

impl Network {
    pub(super) fn new(hosts: &[(&str, Behaviour)]) -> Self {
        let hosts = hosts.iter().map(|(ip, behaviour)| (ip.parse().unwrap(), *behaviour)).collect();
        Self { hosts: Arc::new(hosts), begun: Instant::now(), log: Arc::default(), open: Arc::default() }
    }

    /// When an attempt to connect began, in milliseconds, and at which address.
    pub(super) fn log(&self) -> Vec<(u64, String)> {
        self.log.lock().unwrap().clone()
    }

    /// Connections that are there, or being made.
    pub(super) fn open(&self) -> usize {
        // The network holds one, as does each clone of it.
        Arc::strong_count(&self.open) - Arc::strong_count(&self.log)
    }

    pub(super) fn elapsed(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap()
    }
}

impl Connector for Network {
    type Stream = Stream;

    async fn connect(&self, to: SocketAddr) -> io::Result<Stream> {
        self.log.lock().unwrap().push((self.elapsed(), to.ip().to_string()));
        let stream = Stream(Arc::clone(&self.open));
        match self.hosts.get(&to.ip()).copied().unwrap_or(Behaviour::Refuses(0)) {
            Behaviour::Accepts(after) => {
                sleep(Duration::from_millis(after)).await;
                Ok(stream)
            }
            Behaviour::Refuses(after) => {
                sleep(Duration::from_millis(after)).await;
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Behaviour::Silent => std::future::pending().await,
        }
    }
}
