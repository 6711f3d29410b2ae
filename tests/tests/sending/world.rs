//! A server in a thread of its own, with a certificate and users, and what it got.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use ehlo_tokio::auth::Users;
use ehlo_tokio::client::{Tls, Trust};
use ehlo_tokio::ehlo_sasl::Mechanism;
use ehlo_tokio::ehlo_server::codec::Reply;
use ehlo_tokio::ehlo_server::{Config, TlsMode};
use ehlo_tokio::store::{Memory, MemorySink, Store as _};
use ehlo_tokio::tls::TlsConfig;
use ehlo_tokio::{Decision, Listener, Policy, Rcpt, Server};
use tokio::sync::oneshot;

pub(crate) const NAME: &str = "mx.example";
pub(crate) const USER: &str = "ada";
pub(crate) const PASSWORD: &str = "correct-horse-4711";

/// Takes all but some recipients.
pub(crate) struct Mailboxes(pub(crate) Memory);

impl Policy for Mailboxes {
    type Sink = MemorySink;

    fn sink(&self) -> MemorySink {
        self.0.sink()
    }

    fn rcpt(&self, rcpt: &Rcpt<'_>) -> Decision {
        match rcpt.to.as_str() {
            to if to.starts_with("later") => Decision::Defer(Reply::fixed(450, Some((4, 2, 1)), "Greylisted")),
            to if to.starts_with("never") => Decision::Reject(Reply::fixed(550, Some((5, 1, 1)), "No such user")),
            _ => Decision::Accept,
        }
    }
}

/// How a server is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secure {
    No,
    StartTls,
    Implicit,
}

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) store: Memory,
    folder: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<u64>>,
}

impl World {
    /// A server, after a last change of its settings.
    pub(crate) fn start(secure: Secure, change: impl FnOnce(&mut Config)) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("ehlo-sending-{}-{number}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        for name in [NAME, "other.example"] {
            let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
            std::fs::write(folder.join(format!("{name}.pem")), made.cert.pem()).unwrap();
            std::fs::write(folder.join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
        }
        let mut users = Users::with_secret(b"kept with the users").offer(Mechanism::CramMd5);
        users = users.offer(Mechanism::OAuthBearer).offer(Mechanism::XOAuth2);
        users.add(USER, PASSWORD).unwrap();
        let mut settings = Config::new(NAME).unwrap();
        let store = Memory::new(512 << 20);
        let mut builder = Server::builder(Mailboxes(store.clone())).authenticator(users);
        if secure != Secure::No {
            let files = [folder.join(format!("{NAME}.pem")), folder.join(format!("{NAME}.key"))];
            let [chain, key] = files;
            builder = builder.tls(TlsConfig::builder().pem_files(chain, key).build().unwrap());
        }
        if secure == Secure::StartTls {
            settings.tls = TlsMode::StartTls;
        }
        change(&mut settings);
        let builder = builder.config(settings);
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let listener = match secure {
                    Secure::Implicit => Listener::implicit_tls(listener),
                    _ => listener.into(),
                };
                builder.serve(listener, async { stopped.await.unwrap_or(()) }).await.messages
            })
        });
        Self { address: told.recv().unwrap(), store, folder, stop: Some(stop), thread: Some(thread) }
    }

    /// Whom a client has to trust to believe the server; or somebody else.
    pub(crate) fn trust(&self, name: &str) -> Trust {
        Trust::builder().authorities(self.folder.join(format!("{name}.pem"))).unwrap().build().unwrap()
    }

    /// One that goes on with a server that it can't verify.
    pub(crate) fn lenient(&self) -> Trust {
        let builder = Trust::builder().authorities(self.folder.join("other.example.pem")).unwrap();
        builder.accept_unverified().build().unwrap()
    }

    pub(crate) fn tls(&self, secure: Secure) -> Tls {
        match secure {
            Secure::No => Tls::Off,
            Secure::StartTls => Tls::Required(self.trust(NAME)),
            Secure::Implicit => Tls::Implicit(self.trust(NAME)),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
