//! The server that a run starts for itself, and what it has stored.

use std::fs::{self, DirBuilder, File};
use std::io::BufReader;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ehlo_load::integrity::Stored;
use ehlo_load::ledger;

use super::process::Listening;

/// Connections that the server takes beside those of the run: none should be needed, but a refused one would be hard to explain.
const SPARE_CONNECTIONS: u64 = 64;

/// The running server.
pub(super) struct Embedded {
    process: Listening,
    folder: Folder,
}

impl Embedded {
    /// Starts `ehlo serve --store verify`, or another program with the same arguments, with so many threads.
    pub(super) fn start(
        program: &Path,
        connections: u64,
        largest_message: u64,
        threads: usize,
    ) -> Result<Self, String> {
        let threads = threads.to_string();
        let folder = Folder::new()?;
        let connections = (connections + SPARE_CONNECTIONS).to_string();
        // Room for the largest message with whatever a server may count beside it.
        let max_size = (largest_message + 65_536).max(50 << 20).to_string();
        let arguments = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--store",
            "verify",
            "--until-eof",
            // Nobody reads it, and no place is kept free.
            "--log-level",
            "warn",
            "--stress",
            "off",
            "--max-connections",
            &connections,
            "--max-size",
            &max_size,
            "--threads",
            &threads,
        ];
        let arguments = arguments.map(Into::into).into_iter().chain(["--ledger".into(), folder.ledger().into()]);
        let process = Listening::start("the server", program, arguments)?;
        Ok(Self { process, folder })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.process.address()
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends the server and reads what it has stored.
    pub(super) fn finish(self) -> Result<Vec<Stored>, String> {
        self.process.stop()?;
        let file =
            File::open(self.folder.ledger()).map_err(|error| format!("cannot open the server's ledger: {error}"))?;
        ledger::read(BufReader::new(file)).map_err(|error| error.to_string())
    }
}

/// A folder for the ledger, for nobody else, which goes away with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let moment = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_nanos());
        let path = std::env::temp_dir().join(format!("ehlo-load-{}-{moment}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| format!("cannot make the folder {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    fn ledger(&self) -> PathBuf {
        self.0.join("ledger")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder in the place for temporary ones is no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}
