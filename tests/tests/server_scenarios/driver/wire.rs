//! The client's end of the connection, in clear or inside TLS, read and written without waiting.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::Arc;

use ehlo_tokio::tls::TlsConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;

pub(super) struct Wire {
    stream: TcpStream,
    tls: Option<ClientConnection>,
    /// Records on their way out.
    records: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, tls: None, records: Vec::new() }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Begins TLS; the handshake goes on with each read.
    pub(super) fn begin_tls(&mut self) -> Result<(), String> {
        let name = ServerName::try_from("mx.test").map_err(|error| error.to_string())?;
        let tls = ClientConnection::new(client_config()?, name).map_err(|error| error.to_string())?;
        self.tls = Some(tls);
        self.flush().map_err(|error| error.to_string())
    }

    /// Whether there is a handshake that isn't done.
    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.records)?;
            }
        }
        while !self.records.is_empty() {
            match self.stream.try_write(&self.records) {
                Ok(length) => {
                    self.records.drain(..length);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.try_write(bytes) };
        if !self.records.is_empty() {
            self.flush()?;
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = tls.writer().write(bytes)?;
        self.flush()?;
        Ok(length)
    }

    /// Inside TLS an end that wasn't announced is an error: nothing that the server says may be lost without that.
    pub(super) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.flush()?;
        let Some(tls) = &mut self.tls else { return self.stream.try_read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            let mut records = [0; 4096];
            let length = self.stream.try_read(&mut records)?;
            tls.read_tls(&mut &records[..length])?;
            tls.process_new_packets().map_err(io::Error::other)?;
            while tls.wants_write() {
                tls.write_tls(&mut self.records)?;
            }
            let length = self.stream.try_write(&self.records).unwrap_or_default();
            self.records.drain(..length);
        }
    }
}

/// A certificate for the server, made by itself.
pub(super) fn server_config() -> Result<TlsConfig, String> {
    let builder = TlsConfig::builder().self_signed(["mx.test"]).map_err(|error| error.to_string())?;
    builder.build().map_err(|error| error.to_string())
}

/// A client that believes every certificate: whom it talks to is no question here.
fn client_config() -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let believes = Arc::new(Anybody(provider.signature_verification_algorithms));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.dangerous().with_custom_certificate_verifier(believes).with_no_client_auth()))
}

#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
