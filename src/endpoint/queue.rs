//! What waits for a receiver: references to bytes, in order.
//!
//! All queues of an endpoint share one [`Store`] of nodes, so that a thousand short
//! queues cost no more than one long one. A node counts as a holder of its buffer.
//! What still lies in the scratch is [kept](Store::keep_scratch) when the tick ends.
//! Queues have no bound of their own: [`super::flow`] measures them. Read next:
//! [`crate::wire::buffer`], which has the bytes.

use std::collections::HashMap;

use slab::Slab;

use crate::limits::{FREED_ITEMS, KEPT_ITEMS, PACK_LENGTH, QUEUED_ITEM};
use crate::span::Span;
use crate::wire::buffer::Memory;
use crate::wire::record::Kind;

/// One chunk that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) span: Span,
    /// The kind of record it becomes; a local has no use for it.
    pub(super) kind: Kind,
}

#[derive(Debug)]
struct Node {
    item: Item,
    next: Option<u32>,
}

/// The memory that spans name, and the nodes of all queues.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) memory: Memory,
    nodes: Slab<Node>,
    /// Nodes of this tick that refer to the scratch.
    fresh: Vec<u32>,
    /// Where parts of the scratch have been copied to.
    copies: HashMap<Span, Span>,
    /// Items of queues that were cleared.
    cleared: Queue,
}

/// A queue of one receiver.
///
/// Invariant: `items` counts its items, and `bytes` those of their spans; `head` and `tail` are both there or both absent.
#[derive(Debug, Default)]
pub(super) struct Queue {
    head: Option<u32>,
    tail: Option<u32>,
    items: usize,
    bytes: usize,
}

impl Queue {
    /// Bytes of memory that this queue takes, as if it shared none with other queues.
    pub(super) fn cost(&self) -> usize {
        self.bytes + self.items * QUEUED_ITEM
    }

    /// Payload bytes that packs of all that waits would have.
    pub(super) fn packed_len(&self) -> usize {
        self.bytes + self.items * PACK_LENGTH
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Appends `item` and adds a holder to its buffer.
    pub(super) fn push(&mut self, store: &mut Store, item: Item) {
        let index = store.nodes.insert(Node { item, next: None }) as u32;
        if !store.memory.hold(item.span) {
            store.fresh.push(index);
        }
        match self.tail.replace(index) {
            Some(tail) => store.nodes[tail as usize].next = Some(index),
            None => self.head = Some(index),
        }
        self.items += 1;
        self.bytes += item.span.len();
    }

    pub(super) fn front(&self, store: &Store) -> Option<Item> {
        self.head.map(|index| store.nodes[index as usize].item)
    }

    pub(super) fn back(&self, store: &Store) -> Option<Item> {
        self.tail.map(|index| store.nodes[index as usize].item)
    }

    /// Adds to the last item the `count` bytes that lie behind it in its buffer.
    pub(super) fn extend_last(&mut self, store: &mut Store, count: usize) {
        let tail = self.tail.expect("an item to extend");
        store.nodes[tail as usize].item.span.len += count as u32;
        self.bytes += count;
    }

    pub(super) fn iter<'a>(&self, store: &'a Store) -> impl Iterator<Item = Item> + use<'a> {
        let mut next = self.head;
        std::iter::from_fn(move || {
            let node = &store.nodes[next? as usize];
            next = node.next;
            Some(node.item)
        })
    }

    /// Takes the first item out. The caller releases its holder.
    pub(super) fn pop(&mut self, store: &mut Store) -> Option<Item> {
        let node = store.nodes.remove(self.head? as usize);
        self.head = node.next;
        if self.head.is_none() {
            self.tail = None;
        }
        self.items -= 1;
        self.bytes -= node.item.span.len();
        Some(node.item)
    }

    /// Takes `count` bytes off the front, and releases what is used up.
    pub(super) fn consume(&mut self, store: &mut Store, mut count: usize) {
        while let Some(index) = self.head {
            let span = &mut store.nodes[index as usize].item.span;
            if count < span.len() {
                *span = span.slice(count..span.len());
                self.bytes -= count;
                return;
            }
            count -= span.len();
            if let Some(item) = self.pop(store) {
                store.memory.release(item.span);
            }
        }
    }

    /// Drops all items. They are [freed](Store::free_cleared) later, because there may be many.
    pub(super) fn clear(&mut self, store: &mut Store) {
        let Some(head) = self.head else {
            return;
        };
        let cleared = &mut store.cleared;
        match cleared.tail {
            Some(tail) => store.nodes[tail as usize].next = Some(head),
            None => cleared.head = Some(head),
        }
        cleared.tail = self.tail;
        cleared.items += self.items;
        cleared.bytes += self.bytes;
        *self = Self::default();
    }
}

impl Store {
    pub(super) fn new(scratch: usize) -> Self {
        Self {
            memory: Memory::new(scratch),
            nodes: Slab::new(),
            fresh: Vec::new(),
            copies: HashMap::new(),
            cleared: Queue::default(),
        }
    }

    /// Whether items of cleared queues are left to free.
    pub(super) fn is_busy(&self) -> bool {
        !self.cleared.is_empty()
    }

    /// Frees items of cleared queues, as many as one tick may.
    pub(super) fn free_cleared(&mut self) {
        let mut cleared = std::mem::take(&mut self.cleared);
        for _ in 0..FREED_ITEMS {
            let Some(item) = cleared.pop(self) else {
                break;
            };
            self.memory.release(item.span);
        }
        self.cleared = cleared;
    }

    pub(super) fn cost(&self) -> usize {
        self.memory.held() + self.nodes.len() * QUEUED_ITEM
    }

    pub(super) fn queued(&self) -> usize {
        self.nodes.len()
    }

    /// Copies what queues refer to in the scratch before a tick uses it again: once,
    /// however many items refer to it.
    pub(super) fn keep_scratch(&mut self) {
        for index in self.fresh.drain(..) {
            // The node may be gone, and another one may have its place: one that is not in
            // the scratch, or is kept already.
            let Some(node) = self.nodes.get_mut(index as usize) else {
                continue;
            };
            let span = &mut node.item.span;
            if span.area == Memory::SCRATCH {
                let copy = self.copies.get(span).copied().unwrap_or(*span);
                let kept = self.memory.keep(copy);
                self.copies.insert(*span, kept);
                *span = kept;
            }
        }
        self.copies.clear();
        if self.nodes.is_empty() && self.nodes.capacity() > KEPT_ITEMS {
            self.nodes = Slab::new();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Goal: the scratch that many queues refer to is copied once for each part of it,
    /// and the copy goes with its last holder. Method: two parts in three queues; one has
    /// sent its first part before the tick ends, and another uses its node again.
    #[test]
    fn the_scratch_is_kept_once() {
        let mut store = Store::new(300);
        store.memory.scratch[100..200].fill(7);
        let mut queues = [(); 3].map(|()| Queue::default());
        let kind = Kind::End;
        for range in [0..100, 100..200] {
            let span = Span::new(Memory::SCRATCH, range);
            for queue in &mut queues {
                queue.push(&mut store, Item { span, kind });
            }
            if span.offset == 0 {
                queues[0].consume(&mut store, 100);
            }
        }
        store.keep_scratch();
        assert_eq!(store.memory.copied(), 200);
        assert_eq!(store.memory.held(), 200);
        store.memory.scratch.fill(0);
        for queue in &queues {
            let last = queue.iter(&store).last().unwrap();
            assert_eq!(store.memory.bytes(last.span), [7; 100]);
        }
        for queue in &mut queues {
            queue.consume(&mut store, 100);
            queue.clear(&mut store);
            assert_eq!(queue.cost(), 0);
        }
        store.free_cleared();
        assert_eq!((store.memory.held(), store.queued()), (0, 0));
    }

    /// Goal: however much queues hold when they are dropped, one tick frees a bounded part of
    /// it, and in the end all of it. Method: three queues of more items than that, which share
    /// one buffer.
    #[test]
    fn cleared_queues_are_freed_in_parts() {
        let mut store = Store::new(0);
        let span = store.memory.store(&[7; 100]);
        let mut queues = [(); 3].map(|()| Queue::default());
        for queue in &mut queues {
            for _ in 0..FREED_ITEMS {
                queue.push(
                    &mut store,
                    Item {
                        span,
                        kind: Kind::End,
                    },
                );
            }
        }
        store.memory.release(span);
        for queue in &mut queues {
            queue.clear(&mut store);
            assert!(queue.is_empty() && queue.cost() == 0);
        }
        for left in (0..3).rev() {
            assert!(store.is_busy());
            store.free_cleared();
            assert_eq!(store.queued(), left * FREED_ITEMS);
        }
        assert!(!store.is_busy());
        assert_eq!(store.memory.held(), 0);
    }
}
