//! One run: many connections through a tunnel, and what is done to them.
//!
//! Read next: [`super::check`], which says what must hold behind it.

use sealwire::{Abort, LocalId, Reason};

use super::plan::Fate;
use super::program::Program;
use crate::world::{Pair, World};

/// How many milliseconds a run takes, with a step in each.
const STEPS: u64 = 3000;

/// A tunnel whose connections go wrong in many ways.
pub(super) struct Run {
    pub(super) world: World,
    pub(super) near: usize,
    pub(super) all: Vec<Planned>,
    pub(super) seed: u64,
}

impl Run {
    pub(super) fn play(&mut self) {
        for step in 0..STEPS {
            for (local, peer) in self.world.dials() {
                let one = self.all.iter_mut().find(|one| one.pair.at_server == peer);
                one.unwrap().far_local = Some(local);
            }
            for one in &mut self.all {
                one.act(&mut self.world, step);
            }
            self.world.run_millis(1);
        }
    }
}

/// One connection.
pub(super) struct Planned {
    pub(super) pair: Pair,
    pub(super) near_local: LocalId,
    pub(super) source: Program,
    pub(super) target: Option<Program>,
    pub(super) to_source: Vec<u8>,
    pub(super) fate: Fate,
    /// When that happens, in steps.
    pub(super) at: u64,
    /// When the target answers.
    pub(super) opens: u64,
    pub(super) far_local: Option<LocalId>,
}

impl Planned {
    fn act(&mut self, world: &mut World, step: u64) {
        self.source.act(world);
        if let Some(target) = &mut self.target {
            target.act(world);
        } else if let Some(local) = self.far_local.filter(|_| step >= self.opens) {
            self.far_local = None;
            match self.fate {
                Fate::Refused => {
                    world.fail_local(0, local, Abort::new(Reason::REFUSED, ""));
                }
                _ => {
                    let to_source = std::mem::take(&mut self.to_source);
                    let end = world.open(local);
                    self.target = Some(Program::new(end, to_source));
                }
            }
        }
        if step == self.at {
            match self.fate {
                Fate::Cut => world.reset(self.pair.link),
                Fate::SourceResets if !self.source.gone => self.source.reset(world),
                Fate::TargetResets => {
                    if let Some(target) = self.target.as_mut().filter(|target| !target.gone) {
                        target.reset(world);
                    }
                }
                _ => {}
            }
        }
    }
}
