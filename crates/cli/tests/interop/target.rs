//! The server that clients deliver to.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::common::{Folder, Server, files};
use crate::order::{PASSWORD, USER, Way};
use crate::wire::Relay;

/// A server that keeps what it gets in a maildir, with a port for TLS, and a relay before the other port that records what is said in
/// clear.
pub(crate) struct Target {
    server: Server,
    tls: SocketAddr,
    pub(crate) relay: Relay,
    folder: Folder,
}

impl Target {
    pub(crate) fn start(options: &[&str]) -> Self {
        let folder = Folder::new();
        let store = format!("maildir:{}", folder.0.join("mail").display());
        let user = format!("{USER}:{PASSWORD}");
        let mut all = vec!["--store", &store, "--hostname", "mx.example", "--tls", "self-signed"];
        all.extend(["--listen-tls", "127.0.0.1:0", "--user", &user, "--allow-plaintext-auth", "--cram-md5"]);
        all.extend(options);
        let mut server = Server::start(&all);
        let tls = server.next_address("(tls)");
        let relay = Relay::start(server.address);
        Self { server, tls, relay, folder }
    }

    /// Where a client connects. STARTTLS needs no relay: what is worth recording is not in clear.
    pub(crate) fn port(&self, way: Way) -> u16 {
        match way {
            Way::Clear => self.relay.port(),
            Way::StartTls => self.server.address.port(),
            Way::Tls => self.tls.port(),
        }
    }

    fn delivered(&self) -> PathBuf {
        self.folder.0.join("mail").join("new")
    }

    /// Takes the next message out of the store, waiting for it for a while, since mail systems deliver in their own time.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        let begin = Instant::now();
        loop {
            if let Some(file) = files(&self.delivered()).first() {
                let bytes = fs::read(file).unwrap();
                fs::remove_file(file).unwrap();
                return Some(bytes);
            }
            if begin.elapsed() > Duration::from_secs(20) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops the server. Nothing may be left in its store. Gives its last line, which sums up.
    pub(crate) fn stop(self) -> String {
        assert_eq!(files(&self.delivered()).len(), 0, "messages that nobody has ordered");
        let (status, errors) = self.server.stop();
        assert_eq!(status, Some(0), "{errors}");
        errors
    }
}
