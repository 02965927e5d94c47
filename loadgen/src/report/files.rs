//! The files of a report, opened before the run: one that cannot be written is told before anybody
//! has waited for its figures.
//!
//! What a file had stays until the report is written over it. Read next: [`super`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sealwire_cli::error::Error;

use super::Outputs;

/// A file to write to.
struct Opened {
    path: PathBuf,
    file: File,
    /// It was not there before, and has nothing yet: then it is removed where nothing is written.
    is_new: bool,
}

/// Where a part of the report goes.
pub(crate) struct Output(Option<Opened>);

/// All files of a report.
pub(crate) struct Files {
    pub(super) json: Output,
    /// JSON goes to stdout, alone.
    pub(super) json_alone: bool,
    pub(super) hdr: Output,
    pub(super) timeseries: Output,
    pub(super) prometheus: Output,
    pub(super) html: Output,
}

impl Files {
    /// Opens those that `outputs` names.
    ///
    /// # Errors
    ///
    /// Which of them cannot be written, and why.
    pub(crate) fn open(outputs: &Outputs) -> Result<Self, Error> {
        let json_alone = outputs.json.as_deref() == Some(Path::new("-"));
        let json = outputs.json.as_ref().filter(|_| !json_alone);
        Ok(Self {
            json: Output::open("--json", json)?,
            json_alone,
            hdr: Output::open("--hdr", outputs.hdr.as_ref())?,
            timeseries: Output::open("--timeseries", outputs.timeseries.as_ref())?,
            prometheus: Output::open("--prometheus", outputs.prometheus.as_ref())?,
            html: Output::open("--html", outputs.html.as_ref())?,
        })
    }
}

impl Output {
    fn open(option: &str, path: Option<&PathBuf>) -> Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        let open = |new: bool| OpenOptions::new().write(true).create_new(new).open(path);
        let opened = match open(true) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                open(false).map(|file| (file, false))
            }
            other => other.map(|file| (file, true)),
        };
        match opened {
            Ok((file, is_new)) => Ok(Self(Some(Opened {
                path: path.clone(),
                file,
                is_new,
            }))),
            Err(error) => Err(failed(option, path, &error)),
        }
    }

    /// Writes `text` over what was there, if this output is wanted.
    pub(super) fn write(&mut self, text: impl FnOnce() -> String) -> Result<(), Error> {
        let Some(opened) = &mut self.0 else {
            return Ok(());
        };
        opened.is_new = false;
        opened
            .write(&text())
            .map_err(|error| failed("the report is not whole", &opened.path, &error))
    }
}

impl Opened {
    fn write(&mut self, text: &str) -> io::Result<()> {
        // A pipe or a device has no length.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.file.write_all(text.as_bytes())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if self.is_new {
            // It may be gone already.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::Local(format!("{what}: cannot write {}: {error}", path.display()))
}
