//! What --store verify leaves behind.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ehlo_load::integrity::Stored;
use ehlo_load::{MessageId, ledger};
use ehlo_tokio::store::Verify;

use super::{Args, Failure};

/// The file that --ledger names, if there is one. Opened at the start, so that a wrong path is told then.
pub(super) struct Ledger(Option<(File, PathBuf)>);

impl Ledger {
    pub(super) fn create(args: &Args) -> Result<Self, Failure> {
        let Some(path) = &args.ledger else { return Ok(Self(None)) };
        let file = File::create(path).map_err(|error| Self::failed(path, &error))?;
        Ok(Self(Some((file, path.clone()))))
    }

    pub(super) fn write(self, store: &Verify) -> Result<(), Failure> {
        let Some((file, path)) = self.0 else { return Ok(()) };
        let entries = store.records().into_iter().map(|record| Stored {
            id: record.id.map(MessageId::from),
            length: record.length,
            digest: record.digest,
        });
        ledger::write(io::BufWriter::new(file), entries).map_err(|error| Self::failed(&path, &error))
    }

    fn failed(path: &Path, error: &io::Error) -> Failure {
        Failure::Start(format!("cannot write the ledger {}: {error}", path.display()))
    }
}
