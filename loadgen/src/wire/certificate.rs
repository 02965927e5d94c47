//! Who is who in TLS: a certificate that is made for one run, and nothing else is
//! trusted.
//!
//! TLS is set up to cost what ours does: one cipher, one curve, nothing resumed.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sealwire_cli::error::Error;

/// Whom the certificate is for.
pub(super) const SERVER_NAME: &str = "localhost";

/// A certificate that nobody else has, and its key.
#[derive(Clone)]
pub(crate) struct Certificate {
    /// Both in DER.
    pub(crate) public: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl Certificate {
    /// Makes one: ECDSA with P-256, which is what rcgen makes.
    pub(crate) fn new() -> Result<Self, Error> {
        let made = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()]);
        let made = made.map_err(|error| cannot(&error))?;
        Ok(Self {
            public: made.cert.der().to_vec(),
            key: made.signing_key.serialize_der(),
        })
    }

    /// Both as text, and back.
    pub(crate) fn words(&self) -> [String; 2] {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        [hex(&self.public), hex(&self.key)]
    }

    /// What [`words`](Self::words) said.
    pub(crate) fn parse([public, key]: [&str; 2]) -> Option<Self> {
        let bytes = |text: &str| {
            let pairs = text.as_bytes().chunks(2);
            let bytes = pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
            bytes.collect::<Option<Vec<_>>>()
        };
        let (public, key) = (bytes(public)?, bytes(key)?);
        Some(Self { public, key })
    }

    /// What a server with it is set up with.
    pub(crate) fn server(&self) -> Result<Arc<ServerConfig>, Error> {
        let key = PrivatePkcs8KeyDer::from(self.key.clone());
        let chain = vec![CertificateDer::from(self.public.clone())];
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .and_then(|builder| {
                let builder = builder.with_no_client_auth();
                builder.with_single_cert(chain, PrivateKeyDer::from(key))
            })
            .map_err(|error| cannot(&error))?;
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Arc::new(config))
    }
}

/// What a client is set up with that trusts the certificate `public` alone.
pub(super) fn client(public: Option<&[u8]>) -> Result<Arc<ClientConfig>, Error> {
    let public = public.ok_or_else(|| cannot(&"the server's certificate is not known"))?;
    let mut roots = RootCertStore::empty();
    let added = roots.add(CertificateDer::from(public.to_vec()));
    added.map_err(|error| cannot(&error))?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| cannot(&error))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// AES-256-GCM, and the curve that we have, too.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![kx_group::X25519],
        ..default_provider()
    })
}

fn cannot(why: &dyn std::fmt::Display) -> Error {
    Error::Local(format!("cannot set TLS up: {why}"))
}
