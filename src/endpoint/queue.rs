//! What waits for a receiver: references to bytes, in order.
//!
//! All queues of an endpoint share one store of nodes, so that a thousand short
//! queues cost no more than one long one. A node counts as a holder of its
//! buffer; what still lies in the scratch is [kept](Nodes::keep_scratch) when the
//! tick ends.

use std::collections::HashMap;

use slab::Slab;

use crate::limits::{KEPT_ITEMS, QUEUED_ITEM};
use crate::span::Span;
use crate::wire::buffer::Memory;
use crate::wire::record::Kind;

/// One chunk that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) span: Span,
    /// What kind of record it becomes; a local has no use for it.
    pub(super) kind: Kind,
}

#[derive(Debug)]
struct Node {
    item: Item,
    next: Option<u32>,
}

/// The store that queues share.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    slab: Slab<Node>,
    /// Nodes of this tick that refer to the scratch.
    fresh: Vec<u32>,
    /// Where parts of the scratch have been copied to.
    copies: HashMap<Span, Span>,
}

/// A queue of one receiver.
///
/// Invariant: `cost` is the sum of its spans' lengths and [`QUEUED_ITEM`] for
/// each; `head` and `tail` are both there or both not.
#[derive(Debug, Default)]
pub(super) struct Queue {
    head: Option<u32>,
    tail: Option<u32>,
    cost: usize,
}

impl Queue {
    /// Bytes of memory that what waits takes, as if nobody shared it.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Appends `item` and adds a holder to its buffer.
    pub(super) fn push(&mut self, nodes: &mut Nodes, memory: &mut Memory, item: Item) {
        let index = nodes.slab.insert(Node { item, next: None }) as u32;
        match Memory::buffer(item.span.area) {
            Some(id) => memory.pool.hold(id),
            None => nodes.fresh.push(index),
        }
        match self.tail.replace(index) {
            Some(tail) => nodes.slab[tail as usize].next = Some(index),
            None => self.head = Some(index),
        }
        self.cost += item.span.len() + QUEUED_ITEM;
    }

    /// The first item.
    pub(super) fn front(&self, nodes: &Nodes) -> Option<Item> {
        self.head.map(|index| nodes.slab[index as usize].item)
    }

    /// The last item.
    pub(super) fn back(&self, nodes: &Nodes) -> Option<Item> {
        self.tail.map(|index| nodes.slab[index as usize].item)
    }

    /// Adds to the last item the `count` bytes that lie behind it in its buffer.
    pub(super) fn extend_last(&mut self, nodes: &mut Nodes, count: usize) {
        let tail = self.tail.expect("an item to extend");
        nodes.slab[tail as usize].item.span.len += count as u32;
        self.cost += count;
    }

    /// All items, in order.
    pub(super) fn iter<'a>(&self, nodes: &'a Nodes) -> impl Iterator<Item = Item> + use<'a> {
        let mut next = self.head;
        std::iter::from_fn(move || {
            let node = &nodes.slab[next? as usize];
            next = node.next;
            Some(node.item)
        })
    }

    /// Takes the first item out; its holder is the caller's to release.
    pub(super) fn pop(&mut self, nodes: &mut Nodes) -> Option<Item> {
        let node = nodes.slab.remove(self.head? as usize);
        self.head = node.next;
        if self.head.is_none() {
            self.tail = None;
        }
        self.cost -= node.item.span.len() + QUEUED_ITEM;
        Some(node.item)
    }

    /// Takes `count` bytes off the front, and the holders of what is used up.
    pub(super) fn consume(&mut self, nodes: &mut Nodes, memory: &mut Memory, mut count: usize) {
        while let Some(index) = self.head {
            let span = &mut nodes.slab[index as usize].item.span;
            if count < span.len() {
                *span = span.slice(count..span.len());
                self.cost -= count;
                return;
            }
            count -= span.len();
            if let Some(item) = self.pop(nodes) {
                memory.release(item.span);
            }
        }
    }

    /// Drops everything.
    pub(super) fn clear(&mut self, nodes: &mut Nodes, memory: &mut Memory) {
        while let Some(item) = self.pop(nodes) {
            memory.release(item.span);
        }
    }
}

impl Nodes {
    /// How many items wait in all queues.
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Copies what queues refer to in the scratch, which is about to be used
    /// again; once, however many refer to it.
    pub(super) fn keep_scratch(&mut self, memory: &mut Memory) {
        for index in self.fresh.drain(..) {
            // A node that was taken, or whose place was used again, is not in
            // the scratch or is kept already.
            let Some(node) = self.slab.get_mut(index as usize) else {
                continue;
            };
            let span = &mut node.item.span;
            if span.area == Memory::SCRATCH {
                let copy = self.copies.get(span).copied().unwrap_or(*span);
                let kept = memory.keep(copy);
                self.copies.insert(*span, kept);
                *span = kept;
            }
        }
        self.copies.clear();
        if self.slab.is_empty() && self.slab.capacity() > KEPT_ITEMS {
            self.slab = Slab::new();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn push(queue: &mut Queue, nodes: &mut Nodes, memory: &mut Memory, span: Span) {
        let kind = Kind::End;
        queue.push(nodes, memory, Item { span, kind });
    }

    /// Goal: what many wait for in the scratch is copied once for each part of it,
    /// and given back with the last who waited. Method: two parts in three queues,
    /// one of which has sent its first before the tick ends.
    #[test]
    fn the_scratch_is_kept_once() {
        let mut memory = Memory::new(300);
        memory.scratch[100..200].fill(7);
        let mut nodes = Nodes::default();
        let mut queues = [(); 3].map(|()| Queue::default());
        let parts = [0..100, 100..200].map(|part| Span::new(Memory::SCRATCH, part));
        for part in parts {
            for queue in &mut queues {
                push(queue, &mut nodes, &mut memory, part);
            }
        }
        queues[0].consume(&mut nodes, &mut memory, 100);
        nodes.keep_scratch(&mut memory);
        assert_eq!(memory.pool.copied(), 200);
        assert_eq!(memory.pool.held(), 200);
        memory.scratch.fill(0);
        for queue in &queues {
            let last = queue.iter(&nodes).last().unwrap();
            assert_eq!(memory.bytes(last.span), [7; 100]);
        }
        for queue in &mut queues {
            queue.consume(&mut nodes, &mut memory, 100);
            queue.clear(&mut nodes, &mut memory);
            assert_eq!(queue.cost(), 0);
        }
        assert_eq!((memory.pool.held(), nodes.len()), (0, 0));
    }

    /// Goal: a place that is used again within a tick keeps its own bytes. Method:
    /// take what was pushed, and push another part.
    #[test]
    fn a_place_may_be_used_again() {
        let mut memory = Memory::new(20);
        memory.scratch[10..].fill(1);
        let mut nodes = Nodes::default();
        let mut queue = Queue::default();
        for range in [0..10, 10..20] {
            let span = Span::new(Memory::SCRATCH, range);
            push(&mut queue, &mut nodes, &mut memory, span);
            if span.range().start == 0 {
                queue.pop(&mut nodes).unwrap();
            }
        }
        nodes.keep_scratch(&mut memory);
        memory.scratch.fill(0);
        let kept = queue.front(&nodes).unwrap().span;
        assert_eq!(memory.bytes(kept), [1; 10]);
        queue.clear(&mut nodes, &mut memory);
        assert_eq!(memory.pool.held(), 0);
    }
}
