//! The certificate of a TLS server: made for one run, and the only one that is trusted.
//!
//! TLS is set up to do what the library does: one cipher, one curve, nothing resumed.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sealwire_cli::error::Error;

pub(super) const SERVER_NAME: &str = "localhost";

#[derive(Clone)]
pub(crate) struct Certificate {
    /// Both in DER.
    pub(crate) public: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl Certificate {
    /// Makes one: ECDSA with P-256, the default of rcgen.
    pub(crate) fn new() -> Result<Self, Error> {
        let made = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()]);
        let made = made.map_err(|error| cannot(&error))?;
        Ok(Self {
            public: made.cert.der().to_vec(),
            key: made.signing_key.serialize_der(),
        })
    }

    /// Both as text, for the environment of a server.
    pub(crate) fn text(&self) -> String {
        let [public, key] = [&self.public, &self.key].map(|bytes| BASE64_STANDARD.encode(bytes));
        public + " " + &key
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (public, key) = text.split_once(' ')?;
        let public = BASE64_STANDARD.decode(public).ok()?;
        let key = BASE64_STANDARD.decode(key).ok()?;
        Some(Self { public, key })
    }

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

/// The setup of a client that trusts the certificate `public` alone.
pub(crate) fn client(public: Option<&[u8]>) -> Result<Arc<ClientConfig>, Error> {
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

/// AES-256-GCM, and the library's curve.
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
