//! The process of the server that a run starts: this program again, with new keys.
//!
//! What it does is in [`crate::server`].

use std::env;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rand::TryRng;
use rand::rngs::SysRng;
use sealwire::net::descriptor::{Direction, wait_until_ready};
use sealwire::{Identity, Secret, SecretPair};
use sealwire_cli::error::Error;
use zeroize::Zeroizing;

use crate::args::SERVE;
use crate::interrupt::{Interrupt, interrupted};
use crate::limits::{LOOK_EVERY, REDRAW, SERVER_LEAVES};
use crate::plan::{Service, Target};
#[cfg(feature = "tls")]
use crate::rivals::certificate::Certificate;
#[cfg(feature = "tls")]
use crate::server::CERTIFICATE;
use crate::server::LOOPBACK;

/// A server. Dropping this makes it leave, and waits for that.
pub(crate) struct OwnServer(Child);

impl OwnServer {
    /// Starts a server on loopback as `service` says, and returns it once it serves.
    pub(crate) fn start(service: Service, interrupt: &Interrupt) -> Result<(Self, Target), Error> {
        let pair = SecretPair {
            confkey: random()?,
            authkey: random()?,
        };
        let program = env::current_exe().map_err(|error| failed(&error))?;
        // `Command` erases no copy of the keys; they are worthless once the server is gone.
        let mut command = Command::new(program);
        #[cfg(feature = "tls")]
        let certificate = match service.over {
            crate::plan::Transport::Tls => Some(Certificate::new()?),
            _ => None,
        };
        #[cfg(feature = "tls")]
        if let Some(certificate) = &certificate {
            command.env(CERTIFICATE, certificate.text());
        }
        let child = command
            .arg(SERVE)
            .args(service.words())
            .env("SEALWIRE_CONFKEY", hex(&pair.confkey).as_str())
            .env("SEALWIRE_AUTHKEY", hex(&pair.authkey).as_str())
            // A terminal sends Ctrl-C to a whole group; the server must stay until the last reply.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error))?;
        let mut own = Self(child);
        let server = Target {
            host: LOOPBACK.into(),
            port: own.read_port(interrupt)?,
            identity: Some(Identity::new(&pair).expect("both are 32 bytes")),
            pid: Some(own.0.id()),
            #[cfg(feature = "tls")]
            certificate: certificate.map(|certificate| certificate.public),
        };
        Ok((own, server))
    }

    /// How the server ended, if it ends within `at_most`.
    pub(crate) fn ended(&mut self, at_most: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        loop {
            match self.0.try_wait() {
                Ok(None) if began.elapsed() < at_most => thread::sleep(LOOK_EVERY),
                status => return status.ok().flatten(),
            }
        }
    }

    /// The port, which the server prints once it serves.
    fn read_port(&mut self, interrupt: &Interrupt) -> Result<u16, Error> {
        let stdout = self.0.stdout.take().expect("piped");
        // A signal ends a wait early.
        while !wait_until_ready(&stdout, Direction::In, Some(REDRAW)).unwrap_or(false) {
            if interrupt.is_asked() {
                return Err(interrupted());
            }
        }
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        read.map_err(|error| failed(&error))?;
        line.trim_end().parse().map_err(|_| {
            let status = self.ended(SERVER_LEAVES);
            let why = status.map_or("it does not say its port".into(), |s| s.to_string());
            failed(&why)
        })
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if self.ended(SERVER_LEAVES).is_none() {
            // It may be gone already.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

fn failed(why: &dyn std::fmt::Display) -> Error {
    Error::Local(format!("cannot start a server: {why}"))
}

fn random() -> Result<Secret, Error> {
    let mut key = Zeroizing::new([0; 32]);
    SysRng
        .try_fill_bytes(&mut key[..])
        .map_err(|error| Error::Local(format!("no random bytes from the system: {error}")))?;
    Ok(Secret::new(key.to_vec()))
}

fn hex(key: &Secret) -> Zeroizing<String> {
    Zeroizing::new(base16ct::lower::encode_string(key.expose()))
}
