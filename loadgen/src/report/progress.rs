//! The live line that the user sees while it runs, on a terminal alone.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::limits::REDRAW;

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
    title: String,
    phase: &'static str,
    last: Instant,
    done: u64,
}

impl Progress {
    /// Of the run that `title` names, if there are several; nothing is shown if it is `quiet`.
    pub(crate) fn new(title: String, quiet: bool) -> Self {
        let line = match quiet {
            true => ProgressBar::hidden(),
            false => ProgressBar::new_spinner(),
        };
        let style = ProgressStyle::with_template("{spinner:.cyan} {elapsed} {msg}");
        line.set_style(style.expect("the template is sound"));
        Self {
            line,
            title,
            phase: "",
            last: Instant::now(),
            done: 0,
        }
    }

    /// Names what happens from now on.
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
