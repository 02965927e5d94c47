//! What waits for a receiver: references to bytes, in order.
//!
//! All queues of an endpoint share one [`Store`] of nodes, so that a thousand short
//! queues cost no more than one long one. A node counts as a holder of its buffer.
//! What still lies in the scratch is [kept](Store::keep_scratch) when the tick ends.
//! A message of many chunks is one [`Chain`] and one node in each queue, so that queueing it
//! for a thousand receivers costs no more than a short one.
//! Queues have no bound of their own: [`super::flow`] measures them. Read next:
//! [`crate::wire::buffer`], which has the bytes.

use std::collections::HashMap;

use slab::Slab;

use crate::limits::{
    FREED_BYTES, FREED_ITEMS, ITEM_BYTES, KEPT_ITEMS, MAX_PAYLOAD, PACK_LENGTH, QUEUED_ITEM,
};
use crate::span::Span;
use crate::wire::buffer::Memory;
use crate::wire::record::{self, Kind};

/// One chunk that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) span: Span,
    /// The kind of record it becomes; a local has no use for it.
    pub(super) kind: Kind,
}

/// The chunks of one message, for any number of queues. It has a holder, which its owner
/// [releases](Store::release_chain).
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    first: Item,
    /// The link of its second chunk.
    rest: Option<u32>,
    items: usize,
    bytes: usize,
}

/// The chunks of a message. All spans before the last are full, as they were cut.
fn chunks(spans: &[Span]) -> impl DoubleEndedIterator<Item = Item> {
    let last = spans.len() - 1;
    spans.iter().enumerate().flat_map(move |(index, span)| {
        assert!(
            index == last || span.len() == MAX_PAYLOAD,
            "a chunk that is not full"
        );
        record::cut(span.len()).map(move |(range, kind)| Item {
            span: span.slice(range),
            kind: if index == last { kind } else { Kind::Part },
        })
    })
}

/// A chunk of a message behind its first. It holds its buffer and the link behind it, so a
/// chunk is freed when all queues have taken it.
#[derive(Debug)]
struct Link {
    item: Item,
    next: Option<u32>,
    /// The nodes, the link, or the owner of the chain before it.
    holders: u32,
}

#[derive(Debug)]
struct Node {
    /// The chunk that comes first.
    item: Item,
    /// The link of the chunk that comes after it, of the same message.
    rest: Option<u32>,
    next: Option<u32>,
}

const _: () = assert!(
    size_of::<Node>() + size_of::<u32>() <= ITEM_BYTES,
    "a node, and its entry in `fresh`"
);

/// The memory that spans name, and the nodes of all queues.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) memory: Memory,
    nodes: Slab<Node>,
    links: Slab<Link>,
    /// Nodes of this tick that refer to the scratch.
    fresh: Vec<u32>,
    /// Where parts of the scratch have been copied to.
    copies: HashMap<Span, Span>,
    /// Nodes of queues that were cleared. It counts neither items nor bytes.
    cleared: Queue,
}

/// A queue of one receiver.
///
/// Invariant: `items` counts its chunks, and `bytes` those of their spans; `head` and `tail`
/// are both there or both absent.
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
        self.append(store, item, None);
        self.items += 1;
        self.bytes += item.span.len();
    }

    /// Appends a message of several chunks, and adds a holder to it.
    pub(super) fn push_chain(&mut self, store: &mut Store, chain: Chain) {
        store.hold_link(chain.rest);
        self.append(store, chain.first, chain.rest);
        self.items += chain.items;
        self.bytes += chain.bytes;
    }

    fn append(&mut self, store: &mut Store, item: Item, rest: Option<u32>) {
        let next = None;
        let index = store.nodes.insert(Node { item, rest, next }) as u32;
        if !store.memory.hold(item.span) {
            store.fresh.push(index);
        }
        match self.tail.replace(index) {
            Some(tail) => store.nodes[tail as usize].next = Some(index),
            None => self.head = Some(index),
        }
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
        let head = self.head?;
        let item = store.nodes[head as usize].item;
        if !store.advance(head) {
            self.remove_first(store);
        }
        self.items -= 1;
        self.bytes -= item.span.len();
        Some(item)
    }

    /// Removes the first node. Its item keeps its holder.
    fn remove_first(&mut self, store: &mut Store) -> Option<Node> {
        let node = store.nodes.remove(self.head? as usize);
        self.head = node.next;
        if self.head.is_none() {
            self.tail = None;
        }
        Some(node)
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

    /// Drops all items. They are [freed](Store::free_dropped) later, because there may be many.
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
        *self = Self::default();
    }
}

impl Store {
    pub(super) fn new(scratch: usize) -> Self {
        Self {
            memory: Memory::new(scratch),
            nodes: Slab::new(),
            links: Slab::new(),
            fresh: Vec::new(),
            copies: HashMap::new(),
            cleared: Queue::default(),
        }
    }

    // ---- messages of several chunks ---------------------------------------

    /// Makes the message that `spans` make up a chain. What lies in the scratch is copied.
    pub(super) fn chain(&mut self, spans: &[Span]) -> Chain {
        // Only a message of one span may lie in the scratch: a long line.
        let kept = match spans {
            &[span] => Some(self.memory.keep(span)),
            _ => None,
        };
        let mut chunks = chunks(if kept.is_some() {
            kept.as_slice()
        } else {
            spans
        });
        let first = chunks.next().expect("a message has a chunk");
        let mut chain = Chain {
            first,
            rest: None,
            items: 1,
            bytes: first.span.len(),
        };
        for item in chunks.rev() {
            let in_buffer = self.memory.hold(item.span);
            assert!(in_buffer, "what is assembled is in buffers");
            let link = Link {
                item,
                next: chain.rest,
                holders: 1,
            };
            chain.rest = Some(self.links.insert(link) as u32);
            chain.items += 1;
            chain.bytes += item.span.len();
        }
        self.memory.hold(first.span);
        if let Some(span) = kept {
            self.memory.release(span);
        }
        chain
    }

    /// The owner of a chain needs it no more. Queues that have it hold it.
    pub(super) fn release_chain(&mut self, chain: Chain) {
        self.memory.release(chain.first.span);
        self.release_link(chain.rest);
    }

    fn hold_link(&mut self, link: Option<u32>) {
        if let Some(link) = link {
            self.links[link as usize].holders += 1;
        }
    }

    /// Takes a holder of a link away. The last one frees it, and what only it held.
    fn release_link(&mut self, mut link: Option<u32>) {
        while let Some(index) = link {
            let holders = &mut self.links[index as usize].holders;
            *holders -= 1;
            if *holders > 0 {
                return;
            }
            let freed = self.links.remove(index as usize);
            self.memory.release(freed.item.span);
            link = freed.next;
        }
    }

    /// Puts the next chunk of its message first in a node. Returns whether there is one. The
    /// holder of the chunk before it is the caller's now.
    fn advance(&mut self, index: u32) -> bool {
        let node = &mut self.nodes[index as usize];
        let rest = node.rest;
        let Some(link) = rest else {
            return false;
        };
        let &Link { item, next, .. } = &self.links[link as usize];
        (node.item, node.rest) = (item, next);
        self.memory.hold(item.span);
        self.hold_link(next);
        // The next link has a holder of its own now, so this frees one link at most.
        self.release_link(rest);
        true
    }

    // ---- what was dropped ---------------------------------------------------

    /// Whether something that was dropped is left to free.
    pub(super) fn is_busy(&self) -> bool {
        !self.cleared.is_empty() || self.memory.has_dropped()
    }

    /// Frees items of cleared queues and dropped bytes, as many as one tick may.
    pub(super) fn free_dropped(&mut self) {
        let enough = self.memory.held().saturating_sub(FREED_BYTES);
        let mut cleared = std::mem::take(&mut self.cleared);
        for _ in 0..FREED_ITEMS {
            if cleared.is_empty() || self.memory.held() < enough {
                break;
            }
            self.free_one(&mut cleared);
        }
        self.cleared = cleared;
        self.memory.free_dropped(enough);
    }

    /// Frees the first node of a cleared queue: at once if other queues hold what follows, and
    /// else chunk by chunk, because there may be many.
    fn free_one(&mut self, cleared: &mut Queue) {
        let Some(head) = cleared.head else {
            return;
        };
        let &Node { item, rest, .. } = &self.nodes[head as usize];
        let alone = rest.is_some_and(|link| self.links[link as usize].holders == 1);
        if !alone || !self.advance(head) {
            cleared.remove_first(self);
            self.release_link(rest);
        }
        self.memory.release(item.span);
    }

    // ---- as a whole --------------------------------------------------------

    /// Memory that all queues take.
    pub(super) fn cost(&self) -> usize {
        self.memory.held() + self.queued() * QUEUED_ITEM
    }

    /// Chunks that wait, where a chunk of a long message counts once for all queues.
    pub(super) fn queued(&self) -> usize {
        self.nodes.len() + self.links.len()
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
        if self.links.is_empty() && self.links.capacity() > KEPT_ITEMS {
            self.links = Slab::new();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::limits::MAX_RECORD;

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
        store.free_dropped();
        assert_eq!((store.memory.held(), store.queued()), (0, 0));
    }

    /// Goal: a message of many chunks costs one node in each queue, and each chunk lives until
    /// the last queue has sent or dropped it. Method: three queues share five chunks; one sends
    /// all, one two and then drops the rest, one drops all and frees it in parts.
    #[test]
    fn a_long_message_is_queued_once() {
        let mut store = Store::new(0);
        let spans = [0, 1, 2, 3, 4].map(|byte| store.memory.store(&[byte; MAX_PAYLOAD]));
        let mut queues = [(); 3].map(|()| Queue::default());
        let chain = store.chain(&spans);
        for queue in &mut queues {
            queue.push_chain(&mut store, chain);
        }
        store.release_chain(chain);
        for span in spans {
            store.memory.release(span);
        }
        assert_eq!((store.nodes.len(), store.links.len()), (3, 4));
        let [all, some, none] = &mut queues;
        for byte in 0..5 {
            assert_eq!(all.cost(), (5 - byte) * (MAX_PAYLOAD + QUEUED_ITEM));
            let item = all.pop(&mut store).unwrap();
            assert_eq!(store.memory.bytes(item.span), [byte as u8; MAX_PAYLOAD]);
            let last = if byte == 4 { Kind::End } else { Kind::Part };
            assert_eq!(item.kind, last);
            store.memory.release(item.span);
        }
        assert!(all.is_empty() && all.cost() == 0);
        none.clear(&mut store);
        some.consume(&mut store, 2 * MAX_PAYLOAD);
        store.free_dropped();
        let held = store.memory.held();
        assert_eq!(held, 3 * MAX_RECORD, "two chunks are of no use any more");
        let next = some.front(&store).unwrap().span;
        assert_eq!(store.memory.bytes(next), [2; MAX_PAYLOAD]);
        some.clear(&mut store);
        store.free_dropped();
        assert_eq!((store.memory.held(), store.queued()), (0, 0));
    }

    /// Goal: dropped bytes are erased in parts, too. Method: one cleared queue whose only
    /// message is larger than what one tick frees, and as much that was dropped.
    #[test]
    fn dropped_bytes_are_freed_in_parts() {
        let mut store = Store::new(0);
        let count = FREED_BYTES / MAX_PAYLOAD + 1;
        let spans: Vec<Span> = (0..count).map(|_| store.memory.take(MAX_PAYLOAD)).collect();
        let chain = store.chain(&spans);
        let mut queue = Queue::default();
        queue.push_chain(&mut store, chain);
        store.release_chain(chain);
        for span in spans {
            store.memory.release(span);
            let dropped = store.memory.take(MAX_PAYLOAD);
            store.memory.drop_later(dropped);
        }
        queue.clear(&mut store);
        let mut ticks = 0;
        while store.is_busy() {
            let before = store.memory.held();
            store.free_dropped();
            assert!(before - store.memory.held() <= FREED_BYTES + MAX_RECORD);
            ticks += 1;
        }
        assert_eq!((ticks, store.memory.held(), store.queued()), (3, 0, 0));
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
            store.free_dropped();
            assert_eq!(store.queued(), left * FREED_ITEMS);
        }
        assert!(!store.is_busy());
        assert_eq!(store.memory.held(), 0);
    }
}
