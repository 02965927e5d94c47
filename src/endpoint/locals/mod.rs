//! The plain side: streams such as a pipe, a terminal or a back-end socket.
//!
//! Each local is read, written, or both. Descriptors belong to the
//! [transport](super::transport). Some locals, such as stdin, belong to no peer: there are
//! few, and each tick looks at all of them. The others belong to a peer each, as in a tunnel:
//! there may be thousands, and a tick looks at those that have something to do. Read next:
//! [`input`], [`output`] and [`pairs`].

mod input;
mod output;
mod pairs;
mod screen;

use slab::Slab;

use super::Endpoint;
use super::mode::Mode;
use super::transport::LocalId;
use input::Input;
use output::Output;
use pairs::{Pair, PairLists};

pub use input::{Cut, InputKind};
pub use output::OutputKind;

/// One local: it is read, written, or both.
#[derive(Debug)]
struct Local {
    generation: u32,
    input: Option<Input>,
    output: Option<Output>,
    /// What joins it to its peer, if it belongs to one.
    pair: Option<Pair>,
}

/// All locals of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Locals {
    slab: Slab<Local>,
    /// That of the next local.
    generation: u32,
    /// Those that belong to no peer. None of them ever leaves.
    shared: Vec<LocalId>,
    pairs: PairLists,
}

impl Locals {
    fn insert(
        &mut self,
        input: Option<Input>,
        output: Option<Output>,
        pair: Option<Pair>,
    ) -> LocalId {
        let generation = self.generation;
        self.generation = generation.wrapping_add(1);
        let slot = self.slab.insert(Local {
            generation,
            input,
            output,
            pair,
        }) as u32;
        LocalId { generation, slot }
    }

    fn get(&self, id: LocalId) -> Option<&Local> {
        let local = self.slab.get(id.index())?;
        (local.generation == id.generation).then_some(local)
    }

    fn get_mut(&mut self, id: LocalId) -> Option<&mut Local> {
        let local = self.slab.get_mut(id.index())?;
        (local.generation == id.generation).then_some(local)
    }

    /// All of them.
    pub(super) fn ids(&self) -> Vec<LocalId> {
        let ids = self.slab.iter().map(|(slot, local)| LocalId {
            generation: local.generation,
            slot: slot as u32,
        });
        ids.collect()
    }

    /// Those that belong to no peer.
    pub(super) fn shared(&self) -> &[LocalId] {
        &self.shared
    }

    fn input(&mut self, local: LocalId) -> Option<&mut Input> {
        self.get_mut(local)?.input.as_mut()
    }

    fn output(&mut self, local: LocalId) -> Option<&mut Output> {
        self.get_mut(local)?.output.as_mut()
    }

    fn shared_locals(&self) -> impl Iterator<Item = &Local> {
        self.shared.iter().filter_map(|&id| self.get(id))
    }

    /// The inputs that belong to no peer.
    fn inputs(&self) -> impl Iterator<Item = &Input> {
        self.shared_locals()
            .filter_map(|local| local.input.as_ref())
    }

    /// The outputs that belong to no peer.
    fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.shared_locals()
            .filter_map(|local| local.output.as_ref())
    }
}

impl<M: Mode> Endpoint<M> {
    /// Adds a local that is read, written, or both, and belongs to no peer. The first has
    /// [index](LocalId::index) 0.
    pub fn add_local(&mut self, input: Option<InputKind>, output: Option<OutputKind>) -> LocalId {
        let locals = &mut self.parts.locals;
        let id = locals.insert(input.map(Input::new), output.map(Output::new), None);
        locals.shared.push(id);
        id
    }
}
