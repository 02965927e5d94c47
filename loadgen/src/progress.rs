//! What the user sees while it runs: a live line on a terminal, else a line now
//! and then, all on stderr.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::limits::{LINE_EVERY, REDRAW};
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
    every: Duration,
    phase: &'static str,
    last: Instant,
    done: u64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let line = ProgressBar::new_spinner();
        let template = if wants_colour() {
            "{spinner:.cyan} {elapsed} {msg}"
        } else {
            "{spinner} {elapsed} {msg}"
        };
        let style = ProgressStyle::with_template(template).expect("it is one");
        line.set_style(style);
        Self {
            every: if line.is_hidden() { LINE_EVERY } else { REDRAW },
            line,
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
        if span < self.every {
            return;
        }
        let rate = (standing.done - self.done) as f64 / span.as_secs_f64();
        self.last += span;
        self.done = standing.done;
        let mut text = format!(
            "{}: {} peers, {rate:.0} messages/s",
            self.phase, standing.peers
        );
        if standing.failed > 0 {
            text += &format!(", {} peers failed", standing.failed);
        }
        if self.line.is_hidden() {
            eprintln!("loadgen: {text}");
        } else {
            self.line.set_message(text);
            self.line.tick();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.line.finish_and_clear();
    }
}
