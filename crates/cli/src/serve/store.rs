//! What becomes of messages: --store.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use ehlo_tokio::ehlo_server::Config;
use ehlo_tokio::store::{Lmtp, LmtpAddress, Maildir, Mbox};

use super::Failure;

/// Body bytes that `--store memory` keeps.
pub(super) const MEMORY: usize = 1 << 30;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoreKind {
    Discard,
    Memory,
    Verify,
    Maildir(PathBuf),
    Mbox(PathBuf),
    Lmtp(LmtpAddress),
}

impl FromStr for StoreKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "discard" => Ok(Self::Discard),
            None if text == "memory" => Ok(Self::Memory),
            None if text == "verify" => Ok(Self::Verify),
            Some(("maildir", path)) if !path.is_empty() => Ok(Self::Maildir(path.into())),
            Some(("mbox", path)) if !path.is_empty() => Ok(Self::Mbox(path.into())),
            Some(("lmtp", address)) => address.parse().map(Self::Lmtp),
            _ => Err("a store is discard, memory, verify, maildir:PATH, mbox:PATH, lmtp:HOST:PORT or lmtp:unix:PATH"),
        }
    }
}

impl StoreKind {
    /// Takes from what a server offers what this store can't carry further.
    pub(super) const fn restrict(&self, config: &mut Config) {
        if matches!(self, Self::Lmtp(_)) {
            (config.dsn, config.requiretls, config.binary_mime) = (false, false, false);
        }
    }
}

pub(super) fn maildir(path: &Path) -> Result<Maildir, Failure> {
    Maildir::open(path).map_err(|error| Failure::Start(format!("cannot use {} as a maildir: {error}", path.display())))
}

pub(super) fn mbox(path: &Path) -> Result<Mbox, Failure> {
    Mbox::open(path).map_err(|error| Failure::Start(format!("cannot use {} as an mbox: {error}", path.display())))
}

/// Nobody is asked yet: an LMTP server that is not there now may be when a message comes.
pub(super) fn lmtp(address: &LmtpAddress, hostname: &str) -> Result<Lmtp, Failure> {
    Lmtp::new(address.clone(), hostname).map_err(|error| Failure::Usage(format!("--hostname {hostname}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_named_as_documented() {
        assert_eq!("discard".parse(), Ok(StoreKind::Discard));
        assert_eq!("maildir:a:b".parse(), Ok(StoreKind::Maildir("a:b".into())));
        assert_eq!("mbox:/var/mail/all".parse(), Ok(StoreKind::Mbox("/var/mail/all".into())));
        for address in ["127.0.0.1:2424", "unix:/run/lmtp"] {
            assert_eq!(format!("lmtp:{address}").parse(), Ok(StoreKind::Lmtp(address.parse().unwrap())));
        }
        for wrong in
            ["", "maildir", "maildir:", "mbox", "mbox:", "lmtp", "lmtp:", "lmtp:host", "lmtp:host:25", "discard:x"]
        {
            assert!(wrong.parse::<StoreKind>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_lmtp_can_not_carry_is_not_offered() {
        let mut config = Config::new("mx.example").unwrap();
        config.requiretls = true;
        StoreKind::Mbox("x".into()).restrict(&mut config);
        assert!(config.dsn && config.requiretls && config.binary_mime);
        "lmtp:127.0.0.1:24".parse::<StoreKind>().unwrap().restrict(&mut config);
        assert!(!config.dsn && !config.requiretls && !config.binary_mime);
    }
}
