//! Where messages are handed over: a small file, and a variable.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use ehlo_tokio::ehlo_client::Config as Session;
use serde::Deserialize;

use crate::connect::{AuthOptions, Connector, Options, Target, TlsMode};
use crate::failure::{EX_CONFIG, Failure};

/// Names a file, and then no other is looked for.
const FILE: &str = "EHLO_SENDMAIL_CONFIG";
/// Names a server, which wins over the one of the file.
const SERVER: &str = "EHLO_SMTP";
/// The file of this host.
const SYSTEM: &str = "/etc/ehlo/sendmail.toml";

/// The keys of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    server: Option<String>,
    tls: Option<String>,
    tls_ca: Option<PathBuf>,
    auth_user: Option<String>,
    auth_password_file: Option<PathBuf>,
    /// The sender's address where there is no -f.
    pub(super) from: Option<String>,
    hello: Option<String>,
    #[serde(skip)]
    path: Option<PathBuf>,
}

impl Config {
    /// Reads the first file that there is.
    pub(super) fn read(option: Option<&str>) -> Result<Self, Failure> {
        let named = option.map(PathBuf::from).or_else(|| std::env::var_os(FILE).map(PathBuf::from));
        let path = match named {
            Some(path) => Some(path),
            None => {
                let home = std::env::var_os("XDG_CONFIG_HOME")
                    .map(PathBuf::from)
                    .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
                let own = home.map(|folder| folder.join("ehlo/sendmail.toml"));
                own.into_iter().chain([PathBuf::from(SYSTEM)]).find(|path| path.exists())
            }
        };
        let mut config = match &path {
            None => Self::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| wrong(path, error))?;
                Self::parse(&text).map_err(|what| wrong(path, what))?
            }
        };
        config.path = path;
        if let Some(server) = std::env::var(SERVER).ok().filter(|server| !server.is_empty()) {
            config.server = Some(server);
        }
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let line =
                error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
            line.map_or_else(|| error.message().to_owned(), |line| format!("line {line}: {}", error.message()))
        })
    }

    /// How the server is reached.
    pub(super) fn connector(&self) -> Result<Connector, Failure> {
        let Some(server) = &self.server else {
            let what = "no server is known to hand the message to: write server = \"HOST:PORT\" into ~/.config/ehlo/sendmail.toml, or set EHLO_SMTP";
            return Err(match &self.path {
                Some(path) => wrong(path, what),
                None => Failure::new(EX_CONFIG, what),
            });
        };
        let target =
            Target::parse(server, 25).ok_or_else(|| self.wrong(format_args!("server {server}: not HOST:PORT")))?;
        let tls = match &self.tls {
            None => None,
            Some(word) => Some(TlsMode::from_str(word, false).map_err(|_| {
                self.wrong(format_args!("tls {word}: neither off nor opportunistic, required or implicit"))
            })?),
        };
        if let Some(name) = &self.hello {
            Session::new(name).map_err(|fault| self.wrong(format_args!("hello {name}: {fault}")))?;
        }
        let password_file = self.auth_password_file.as_deref().map(|file| self.beside(file));
        match (&self.auth_user, &password_file) {
            (Some(_), None) => return Err(self.wrong("auth_user wants auth_password_file beside it")),
            (None, Some(_)) => return Err(self.wrong("auth_password_file wants auth_user beside it")),
            (Some(_), Some(file)) => self.check_secret(file)?,
            (None, None) => {}
        }
        let options = Options {
            tls,
            tls_ca: self.tls_ca.as_deref().map(|file| self.beside(file)),
            tls_name: None,
            tls_insecure: false,
            tls_cert: None,
            tls_key: None,
            ehlo_name: self.hello.clone(),
            lmtp: false,
            no_pipelining: false,
            no_chunking: false,
            timeout: None,
            connect_timeout: None,
        };
        let auth = AuthOptions {
            auth: self.auth_user.clone(),
            password_file,
            token_file: None,
            auth_mechanism: None,
            auth_plaintext: false,
        };
        Connector::new(target, &options, &auth, false).map_err(|failure| self.wrong(failure.message))
    }

    /// A file that the configuration names: where it is relative, from the folder of the configuration.
    fn beside(&self, file: &Path) -> PathBuf {
        self.path.as_deref().and_then(Path::parent).map_or_else(|| file.to_owned(), |folder| folder.join(file))
    }

    /// A password that everybody can read is none.
    fn check_secret(&self, file: &Path) -> Result<(), Failure> {
        let shown = file.display();
        let mode =
            std::fs::metadata(file).map_err(|error| self.wrong(format_args!("{shown}: {error}")))?.permissions().mode();
        if mode & 0o007 == 0 {
            return Ok(());
        }
        Err(self.wrong(format_args!(
            "auth_password_file {shown}: everybody on this host can get at it; chmod o= takes that away"
        )))
    }

    pub(super) fn wrong(&self, what: impl std::fmt::Display) -> Failure {
        match &self.path {
            Some(path) => wrong(path, what),
            None => Failure::new(EX_CONFIG, what),
        }
    }
}

fn wrong(path: &Path, what: impl std::fmt::Display) -> Failure {
    Failure::new(EX_CONFIG, format_args!("{}: {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_unknown_are_named_with_their_line() {
        let config = Config::parse("server = \"mx:25\" # here\nfrom = \"a@b\"\n").unwrap();
        assert_eq!((config.server.as_deref(), config.from.as_deref()), (Some("mx:25"), Some("a@b")));
        for (text, what) in [
            ("server = \"a\"\n\nauth_password = \"x\"\n", "line 3: unknown field `auth_password`"),
            ("server = 25\n", "line 1: invalid type"),
            ("# x\nserver\n", "line 2: "),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.starts_with(what), "{error}");
        }
    }
}
