//! The plain side: streams such as a pipe, a terminal or a back-end socket.
//!
//! Each local is read, written, or both. Descriptors belong to the
//! [transport](super::transport). Read next: [`input`] and [`output`].

mod input;
mod output;
mod screen;

use super::Endpoint;
use super::mode::Mode;
use super::transport::LocalId;
use input::Input;
use output::Output;

pub use input::{Cut, InputKind};
pub use output::OutputKind;

/// One local: it is read, written, or both.
#[derive(Debug)]
struct Local {
    input: Option<Input>,
    output: Option<Output>,
}

/// All locals of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Locals(Vec<Local>);

impl Locals {
    pub(super) fn ids(&self) -> impl Iterator<Item = LocalId> + use<> {
        (0..self.0.len() as u32).map(LocalId)
    }

    fn input(&mut self, local: LocalId) -> Option<&mut Input> {
        self.0.get_mut(local.index())?.input.as_mut()
    }

    fn output(&mut self, local: LocalId) -> Option<&mut Output> {
        self.0.get_mut(local.index())?.output.as_mut()
    }

    fn inputs(&self) -> impl Iterator<Item = &Input> {
        self.0.iter().filter_map(|local| local.input.as_ref())
    }

    fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.0.iter().filter_map(|local| local.output.as_ref())
    }
}

impl<M: Mode> Endpoint<M> {
    /// Adds a local that is read, written, or both. The first is
    /// [index](LocalId::index) 0.
    pub fn add_local(&mut self, input: Option<InputKind>, output: Option<OutputKind>) -> LocalId {
        let locals = &mut self.parts.locals.0;
        locals.push(Local {
            input: input.map(Input::new),
            output: output.map(Output::new),
        });
        LocalId(locals.len() as u32 - 1)
    }
}
