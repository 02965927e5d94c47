//! The live line that the user sees during a run, only on a terminal.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::limits::REDRAW;

pub(crate) struct Progress {
    /// Hidden where stderr is no terminal.
    line: ProgressBar,
    title: String,
    phase: &'static str,
    last: Instant,
    done: u64,
}

impl Progress {
    /// The line of the run that `title` names, if there are several. It is hidden if `quiet`.
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

    pub(crate) fn phase(&mut self, phase: &'static str) {
        self.phase = phase;
    }

    /// If it is time to, shows how many peers are there, how many have `failed`, and what is
    /// `done`.
    pub(crate) fn show(&mut self, peers: u64, failed: u64, done: u64) {
        let span = self.last.elapsed();
        if span < REDRAW {
            return;
        }
        let rate = (done - self.done) as f64 / span.as_secs_f64();
        self.last += span;
        self.done = done;
        let (title, phase) = (&self.title, self.phase);
        let mut text = format!("{title}{phase}: {peers} peers, {rate:.0} messages/s");
        if failed > 0 {
            text += &format!(", {failed} peers failed");
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
