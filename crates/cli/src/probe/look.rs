//! Looking at a server.

use ehlo_tokio::client::SendError;
use ehlo_tokio::ehlo_client::{CloseReason, Misbehaviour};

use super::certificate::Certificate;
use super::seen::{Seen, Watch};
use super::shown::shown;
use super::{Args, Begin};
use crate::connect::{AuthOptions, ConnectError, Connector, Target};
use crate::failure::Failure;

/// The words for a certificate of an issuer that nobody here trusts.
pub(super) const UNTRUSTED: &str = "nobody who is trusted has issued it";

/// All that was found out.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) server: String,
    /// It is a socket of the file system.
    pub(super) is_local: bool,
    /// The name that the certificate has to be for.
    pub(super) name: String,
    pub(super) begin: Begin,
    pub(super) seen: Seen,
    /// Why TLS did not come about, though it was offered.
    pub(super) tls_fault: Option<TlsFault>,
    /// None, if there is no TLS; an error, if it can't be read.
    pub(super) certificate: Option<Result<Certificate, String>>,
    /// Why the server is not verified, as the verification says.
    pub(super) unverified: Option<String>,
    /// Why not all could be looked at.
    pub(super) failure: Option<Failure>,
}

/// Why TLS did not come about.
#[derive(Debug)]
pub(super) enum TlsFault {
    /// Something in clear stood behind the 220 (RFC 3207 §6).
    Injected,
    Other(String),
}

pub(super) async fn look(args: &Args, target: Target, begin: Begin) -> Result<Found, Failure> {
    let name = match (&args.tls_name, &target) {
        (Some(name), _) => name.clone(),
        (None, Target::Tcp { host, .. }) => host.clone(),
        (None, Target::Unix(_)) => "localhost".to_owned(),
    };
    let mut found = Found {
        server: target.to_string(),
        is_local: target.port().is_none(),
        name,
        begin,
        seen: Seen::default(),
        tls_fault: None,
        certificate: None,
        unverified: None,
        failure: None,
    };
    let auth = AuthOptions::default();
    let connector = Connector::new(target.clone(), &args.options(begin.mode(), true), &auth, false)?;
    let watch = Watch::default();
    // If that goes wrong, the watch has seen what came before.
    let connected = connector.connect(watch.observer()).await;
    found.seen = watch.seen();
    match connected {
        Ok(client) => {
            found.certificate = client.certificate().map(|der| Certificate::read(der, &found.name));
            // All was seen; how the server takes its leave changes nothing.
            let _ = client.quit().await;
        }
        Err(error) => found.fail(&error),
    }
    if found.failure.is_none() && found.seen.tls.is_some_and(|tls| !tls.verified) {
        let options = args.options(begin.strict_mode(), false);
        found.unverified = Some(match Connector::new(target, &options, &auth, false) {
            Ok(connector) => why(&connector).await,
            Err(failure) => failure.message,
        });
    }
    Ok(found)
}

impl Found {
    fn fail(&mut self, error: &ConnectError) {
        // What was offered in clear is known then, and there is no more: that STARTTLS leads nowhere is what was found out.
        let only_tls = self.seen.asked && self.seen.tls.is_none();
        match &error.error {
            Some(SendError::Closed(CloseReason::PeerMisbehaved(Misbehaviour::ClearBehindStartTls))) => {
                self.tls_fault = Some(TlsFault::Injected);
            }
            Some(
                SendError::Closed(CloseReason::ServiceNotAvailable)
                | SendError::Refused(CloseReason::ServiceNotAvailable, _),
            ) => self.failure = Some(Failure::new(error.exit_code(), shown(&error.text))),
            Some(cause) if only_tls => self.tls_fault = Some(TlsFault::Other(shown(&words(cause)))),
            _ => self.failure = Some(Failure::new(error.exit_code(), shown(&error.text))),
        }
    }
}

fn words(error: &SendError) -> String {
    match error {
        SendError::Tls(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Why a server is not verified: what ends the handshake of a client that wants it to be.
async fn why(connector: &Connector) -> String {
    match connector.connect(Box::new(|_| ())).await {
        // Between the two connections something has changed, or there is more than one server.
        Ok(client) => {
            let _ = client.quit().await;
            "over another connection it was".to_owned()
        }
        Err(error) => match &error.error {
            Some(SendError::Tls(text)) => {
                shown(reason(text.strip_prefix("invalid peer certificate: ").unwrap_or(text)))
            }
            _ => format!("not known, because another connection failed: {}", shown(&error.text)),
        },
    }
}

/// What the TLS library minds of a certificate, in words for people: some of its own are names of its types.
fn reason(text: &str) -> &str {
    let name = text.split([' ', '(', '{', ':']).next().unwrap_or_default();
    match name {
        // The latter two come of an authority that has the name of the issuer, and another key.
        "UnknownIssuer" | "BadSignature" => UNTRUSTED,
        _ if name.starts_with("UnsupportedSignatureAlgorithm") => UNTRUSTED,
        "BadEncoding" => "it can't be read",
        "Revoked" => "it was revoked",
        "UnhandledCriticalExtension" => "it has a critical extension that is not known",
        _ if text.contains("CaUsedAsEndEntity") => "it is marked as an authority's, which stands for no server",
        _ if text.starts_with("certificate expired") => "it has expired",
        _ if text.starts_with("certificate not valid yet") => "it is not valid yet",
        _ if text.starts_with("certificate not valid for name") => "it is for another name",
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_words_and_no_names_of_types() {
        for (text, words) in [
            ("UnknownIssuer", UNTRUSTED),
            ("UnsupportedSignatureAlgorithmForPublicKeyContext { signature_algorithm_id: [6] }", UNTRUSTED),
            ("Other(OtherError(CaUsedAsEndEntity))", "it is marked as an authority's, which stands for no server"),
            ("certificate expired: verification time 1764115200 (UNIX), but", "it has expired"),
            ("certificate not valid for name \"a\"; certificate is only valid for b", "it is for another name"),
            ("the handshake failed", "the handshake failed"),
        ] {
            assert_eq!(reason(text), words);
        }
    }
}
