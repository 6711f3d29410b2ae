//! The certificates of `ehlo serve`.

use std::path::PathBuf;

use ehlo_tokio::tls::{ClientCertificates, TlsConfig, TlsError};

use super::Args;

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    SelfSigned,
    Files { chain: PathBuf, key: PathBuf },
}

/// The value of --tls.
pub(super) fn source(text: &str) -> Result<Source, &'static str> {
    match text.split_once(',') {
        None if text == "self-signed" => Ok(Source::SelfSigned),
        Some((chain, key)) if !chain.is_empty() && !key.is_empty() => {
            Ok(Source::Files { chain: chain.into(), key: key.into() })
        }
        _ => Err("it is self-signed, or the file of the certificates and that of the key: CERT.pem,KEY.pem"),
    }
}

/// What --tls and --client-ca say; `None` if there is no --tls.
pub(super) fn load(args: &Args) -> Result<Option<TlsConfig>, TlsError> {
    if args.tls.is_empty() {
        return Ok(None);
    }
    let mut builder = TlsConfig::builder();
    for source in &args.tls {
        builder = match source {
            // An address literal of SMTP is in brackets; in a certificate it is not.
            Source::SelfSigned => builder.self_signed([args.hostname.trim_matches(['[', ']'])])?,
            Source::Files { chain, key } => builder.pem_files(chain, key),
        };
    }
    if let Some(file) = &args.client_ca {
        builder = builder.client_ca(file, ClientCertificates::Optional);
    }
    builder.build().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_two_files_or_none() {
        assert_eq!(source("self-signed"), Ok(Source::SelfSigned));
        assert_eq!(source("a,b"), Ok(Source::Files { chain: "a".into(), key: "b".into() }));
        for wrong in ["", "a", "a,", ",b", ","] {
            assert!(source(wrong).is_err(), "{wrong}");
        }
    }
}
