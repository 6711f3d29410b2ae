//! Where to connect.

use std::fmt;
use std::path::PathBuf;

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl Target {
    /// `HOST`, `HOST:PORT`, an IPv6 address with or without brackets, or the path of a socket, which has a slash in it.
    pub(crate) fn parse(text: &str, default_port: u16) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:").or_else(|| text.contains('/').then_some(text)) {
            return (!path.is_empty()).then(|| Self::Unix(path.into()));
        }
        let (host, port) = match text.rsplit_once(':') {
            // Two colons without brackets are an IPv6 address without a port.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()?),
            _ => (text, default_port),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        (!host.is_empty() && port != 0).then(|| Self::Tcp { host: host.to_owned(), port })
    }

    /// The port, if it has one.
    pub(crate) const fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp { port, .. } => Some(*port),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_with_and_without_port() {
        for (text, shown) in [
            ("localhost:2525", "localhost:2525"),
            ("mx.example", "mx.example:25"),
            ("127.0.0.1:25", "127.0.0.1:25"),
            ("[::1]:2525", "[::1]:2525"),
            ("[::1]", "[::1]:25"),
            ("::1", "[::1]:25"),
            ("/run/lmtp", "/run/lmtp"),
            ("unix:lmtp", "lmtp"),
        ] {
            assert_eq!(Target::parse(text, 25).map(|target| target.to_string()).as_deref(), Some(shown));
        }
        for wrong in ["", ":25", "a:", "a:b", "a:0", "a:65536", "[]:25", "unix:"] {
            assert!(Target::parse(wrong, 25).is_none(), "{wrong}");
        }
    }
}
