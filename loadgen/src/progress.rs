//! What the user sees while it runs: a live line, on a terminal alone; where there is
//! none, nobody looks.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::limits::REDRAW;
use crate::report::wants_colour;

/// Where a run stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) peers: u64,
    pub(crate) failed: u64,
    /// Messages done so far.
    pub(crate) done: u64,
}

/// Shows where a run stands.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Hidden where stderr is no terminal.
    line: ProgressBar,
    /// Which run it is.
    title: String,
    phase: &'static str,
    last: Instant,
    done: u64,
}

impl Progress {
    /// Of the run that `title` tells from others; nothing is shown if it is to be `quiet`.
    pub(crate) fn new(title: String, quiet: bool) -> Self {
        let line = match quiet {
            true => ProgressBar::hidden(),
            false => ProgressBar::new_spinner(),
        };
        let template = if wants_colour() {
            "{spinner:.cyan} {elapsed} {msg}"
        } else {
            "{spinner} {elapsed} {msg}"
        };
        let style = ProgressStyle::with_template(template).expect("it is one");
        line.set_style(style);
        Self {
            line,
            title,
            phase: "",
            last: Instant::now(),
            done: 0,
        }
    }

    /// What goes on from now on.
    pub(crate) fn phase(&mut self, phase: &'static str) {
        self.phase = phase;
    }

    /// Shows `standing`, if it is time to.
    pub(crate) fn show(&mut self, standing: Standing) {
        let span = self.last.elapsed();
        if span < REDRAW {
            return;
        }
        let rate = (standing.done - self.done) as f64 / span.as_secs_f64();
        self.last += span;
        self.done = standing.done;
        let mut text = format!(
            "{}{}: {} peers, {rate:.0} messages/s",
            self.title, self.phase, standing.peers
        );
        if standing.failed > 0 {
            text += &format!(", {} peers failed", standing.failed);
        }
        self.line.set_message(text);
        self.line.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.line.finish_and_clear();
    }
}
