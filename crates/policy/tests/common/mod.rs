//! What the tests of the policy share: a server by a file, and a client by hand whose address a proxy tells.
#![allow(dead_code, reason = "each test program uses a part of this")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ehlo_policy::{Builder, FilePolicy, Loaded, Places};
use ehlo_tokio::store::{FileOps, Memory};
use ehlo_tokio::{Server, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A folder of a test's own, removed at its end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ehlo-policy-test-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The messages in a maildir of this folder, in the order of their names.
    pub(crate) fn messages(&self, maildir: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.0.join(maildir).join("new")) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    /// All files below this folder that hold anything, but for the names.
    pub(crate) fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, found);
                } else {
                    let folder = path.parent().unwrap().strip_prefix(root).unwrap();
                    found.push(folder.display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.0, &self.0, &mut found);
        found.sort();
        found
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Reads a file of a test, whose paths begin in that folder.
#[track_caller]
pub(crate) fn load(text: &str, folder: &Path, places: &Places) -> Loaded {
    Loaded::parse("test.toml", text, folder, places).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A server in this runtime.
pub(crate) struct Running<F: FileOps = ehlo_tokio::store::StdFiles> {
    pub(crate) address: SocketAddr,
    pub(crate) policy: FilePolicy<F>,
    pub(crate) settings: Settings,
    pub(crate) places: Places,
    _stop: oneshot::Sender<()>,
}

/// A server by that text. `memory` is a place of the name `memory:test`.
pub(crate) async fn start(text: &str, folder: &Folder) -> (Running, Memory) {
    start_with(text, folder, |builder| builder).await
}

pub(crate) async fn start_with<F: FileOps>(
    text: &str,
    folder: &Folder,
    with: impl FnOnce(Builder<ehlo_tokio::store::StdFiles>) -> Builder<F>,
) -> (Running<F>, Memory) {
    let (places, memory) = (Places::default(), Memory::new(16 << 20));
    places.insert("memory:test", Arc::new(memory.clone()));
    let loaded = load(text, &folder.0, &places);
    let session = loaded.session().clone();
    let policy = with(FilePolicy::builder(loaded, places.clone())).build().unwrap();
    let server = Server::builder(policy.clone()).config(session).proxies(["127.0.0.1".parse().unwrap()]).build();
    let settings = server.settings();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(server.serve([listener], async { stopped.await.unwrap_or(()) }));
    (Running { address, policy, settings, places, _stop: stop }, memory)
}

impl<F: FileOps> Running<F> {
    /// A client at that address, which has said nothing yet.
    pub(crate) async fn connect(&self, from: &str) -> Client {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // Under a paused clock nobody waits for an acknowledgement that is late.
        stream.set_nodelay(true).unwrap();
        let (family, to) = if from.contains(':') { ("TCP6", "2001:db8::25") } else { ("TCP4", "192.0.2.25") };
        stream.write_all(format!("PROXY {family} {from} {to} 40000 25\r\n").as_bytes()).await.unwrap();
        Client { stream, input: Vec::new() }
    }

    /// One that was greeted and has said EHLO.
    pub(crate) async fn client(&self, from: &str) -> Client {
        let mut client = self.connect(from).await;
        client.expect("220").await;
        client.say("EHLO client.example", "250").await;
        client
    }

    /// Puts another text into force.
    pub(crate) async fn reload(&self, text: &str, folder: &Folder) -> Result<Vec<&'static str>, String> {
        let loaded =
            Loaded::parse("test.toml", text, &folder.0, &self.places).map_err(|problems| problems.to_string())?;
        let (policy, settings) = (self.policy.clone(), self.settings.clone());
        tokio::task::spawn_blocking(move || policy.reload(loaded, &settings, None)).await.unwrap()
    }
}

/// A client that is played by hand.
pub(crate) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Client {
    /// The next whole reply, without the last line end; `None` at the end of the connection.
    pub(crate) async fn reply(&mut self) -> Option<String> {
        loop {
            let mut end = 0;
            for line in self.input.split_inclusive(|&byte| byte == b'\n') {
                end += line.len();
                if line.ends_with(b"\r\n") && line.get(3) != Some(&b'-') {
                    let reply: Vec<u8> = self.input.drain(..end).collect();
                    return Some(String::from_utf8(reply).unwrap().trim_end().to_owned());
                }
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next reply, which has to begin like that.
    pub(crate) async fn expect(&mut self, beginning: &str) -> String {
        let reply = self.reply().await.unwrap_or_else(|| panic!("the connection ended before {beginning}"));
        assert!(reply.starts_with(beginning), "{beginning} was expected: {reply}");
        reply
    }

    pub(crate) async fn say(&mut self, line: &str, beginning: &str) -> String {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        let reply = self.reply().await.unwrap_or_else(|| panic!("the connection ended behind {line}"));
        assert!(reply.starts_with(beginning), "{line}: {beginning} was expected: {reply}");
        reply
    }

    /// Sends that, and waits for nothing.
    pub(crate) async fn send_raw(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.reply().await, None, "the connection was to end");
    }

    /// Sends a message in a transaction that has its recipients.
    pub(crate) async fn data(&mut self, text: &str, beginning: &str) -> String {
        self.say("DATA", "354").await;
        self.say(&format!("{text}\r\n."), beginning).await
    }

    /// A whole transaction.
    pub(crate) async fn send(&mut self, from: &str, to: &[&str], text: &str, beginning: &str) -> String {
        self.say(&format!("MAIL FROM:<{from}>"), "250").await;
        for to in to {
            self.say(&format!("RCPT TO:<{to}>"), "25").await;
        }
        self.data(text, beginning).await
    }
}

/// Fails a test that hangs. Not for tests with a paused clock, which would run out at once.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("the test hangs")
}
