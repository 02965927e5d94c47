//! What must hold when a run is over.

use sealwire::limits::LINGER;

use super::plan::Fate;
use super::run::{Planned, Run};

impl Run {
    /// Checks every connection, and that nothing is left of those that are over.
    pub(super) fn check(&mut self) {
        let seed = self.seed;
        let is_calm = |one: &Planned| one.fate == Fate::Calm;
        assert!(self.all.iter().any(is_calm), "{seed}");
        for one in &self.all {
            one.check(seed);
        }
        self.world.run_millis(LINGER.as_millis() as u64 + 500);
        for host in [self.near, 0] {
            assert_eq!(self.world.hosts[host].endpoint.pairs(), 0, "seed {seed}");
        }
    }
}

impl Planned {
    fn check(&self, seed: u64) {
        let what = format!("seed {seed}, {:?}, {:?}", self.near_local, self.fate);
        let Some(target) = &self.target else {
            assert_ne!(self.fate, Fate::Calm, "{what}");
            assert_ne!(self.source.ended, Some(Ok(())), "{what}");
            return;
        };
        for (hearer, teller) in [(&self.source, target), (target, &self.source)] {
            assert!(
                teller.to_say.starts_with(&hearer.heard),
                "{what}: other bytes"
            );
            if hearer.ended == Some(Ok(())) {
                assert!(
                    hearer.heard == teller.to_say,
                    "{what}: a clean end after a loss"
                );
                assert!(teller.shut, "{what}");
            } else {
                let resets = hearer.gone && hearer.ended.is_none();
                assert!(
                    resets || hearer.ended.is_some(),
                    "{what}: it waits for ever"
                );
                assert_ne!(self.fate, Fate::Calm, "{what}: {:?}", hearer.ended);
            }
        }
    }
}
