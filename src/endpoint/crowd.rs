//! Connections that have proved nothing, by where they come from, and which of them makes
//! room for another.
//!
//! The origin with the most of them gives up one, so that a flood from one address shuts out no
//! peer of another. There, the connections that came least far go first, and of those the
//! oldest. No connection goes before it had the time to come further. Until then the new one
//! waits. So a flood from an honest peer's own address does not shut that peer out, either.
//!
//! It acts on no peer. Read next: [`super::admission`].

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::transport::{Origin, PeerId};
use crate::time::Time;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reached {
    /// It has sent nothing.
    Nothing,
    /// It has sent some bytes.
    Bytes,
    /// Its hello holds.
    Hello,
    /// It was answered.
    Answer,
}

const ALL: [Reached; 4] = [
    Reached::Nothing,
    Reached::Bytes,
    Reached::Hello,
    Reached::Answer,
];

/// A connection's place in a crowd: the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) reached: Reached,
    /// When it came that far.
    pub(super) since: Time,
}

/// Which connection makes room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Candidate {
    /// This one.
    Now(PeerId),
    /// None before this time.
    At(Time),
    /// None at all.
    Nobody,
}

/// The connections of one kind that have proved nothing.
///
/// Invariant: `sizes` has the [`Size`] of every origin of `places`; `len` counts all connections,
/// `with_hello` those whose hello holds.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    places: HashMap<Origin, BTreeSet<(Place, PeerId)>>,
    sizes: BTreeSet<Size>,
    len: usize,
    with_hello: usize,
}

/// How many connections an origin has, and since when the oldest of them is where it is. The
/// greatest goes first: of origins with as many, the one with the oldest.
type Size = (usize, Reverse<Time>, Origin);

impl Crowd {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many have sent a hello that holds.
    pub(super) fn with_hello(&self) -> usize {
        self.with_hello
    }

    pub(super) fn insert(&mut self, origin: Origin, place: Place, id: PeerId) {
        self.change(origin, |places| {
            let new = places.insert((place, id));
            debug_assert!(new, "a connection has one place");
        });
        self.len += 1;
        self.with_hello += usize::from(place.reached >= Reached::Hello);
    }

    pub(super) fn remove(&mut self, origin: Origin, place: Place, id: PeerId) {
        self.change(origin, |places| {
            let there = places.remove(&(place, id));
            debug_assert!(there, "a connection is where it was put");
        });
        self.len -= 1;
        self.with_hello -= usize::from(place.reached >= Reached::Hello);
    }

    /// Changes the connections of an origin, and what is noted on them.
    fn change(&mut self, origin: Origin, change: impl FnOnce(&mut BTreeSet<(Place, PeerId)>)) {
        let places = self.places.entry(origin).or_default();
        if let Some(size) = size(origin, places) {
            self.sizes.remove(&size);
        }
        change(places);
        match size(origin, places) {
            Some(size) => drop(self.sizes.insert(size)),
            None => drop(self.places.remove(&origin)),
        }
    }

    /// Which connection makes room, of those that came no further than `furthest`: each has
    /// the time `grace` wherever it has come to. Where those of the most crowded origin have
    /// not had it, one of an origin with at least half as many goes.
    pub(super) fn candidate(&self, furthest: Reached, now: Time, grace: Duration) -> Candidate {
        let mut waits: Option<(usize, Time)> = None;
        let mut next = self.sizes.last();
        while let Some(&size) = next {
            let (len, Reverse(oldest), origin) = size;
            if waits.is_some_and(|(most, _)| 2 * len < most) {
                break;
            }
            let candidate = match self.places.get(&origin) {
                Some(places) => candidate_of(places, furthest, now, grace),
                None => Candidate::Nobody,
            };
            if let Candidate::Now(_) = candidate {
                return candidate;
            }
            if let Candidate::At(at) = candidate {
                let (most, soonest) = waits.unwrap_or((len, at));
                waits = Some((most, soonest.min(at)));
            }
            // Those with as many are younger: none of them has had its time.
            let end = match oldest + grace > now {
                true => (len, Reverse(Time::NEVER), Origin::new(0)),
                false => size,
            };
            next = self.sizes.range(..end).next_back();
        }
        waits.map_or(Candidate::Nobody, |(_, soonest)| Candidate::At(soonest))
    }
}

/// The size of an origin that has connections.
fn size(origin: Origin, places: &BTreeSet<(Place, PeerId)>) -> Option<Size> {
    let oldest = ALL.iter().filter_map(|&reached| oldest(places, reached));
    let since = oldest.map(|(place, _)| place.since).min()?;
    Some((places.len(), Reverse(since), origin))
}

/// Which of one origin's connections makes room.
fn candidate_of(
    places: &BTreeSet<(Place, PeerId)>,
    furthest: Reached,
    now: Time,
    grace: Duration,
) -> Candidate {
    let oldest = ALL.iter().filter_map(|&reached| oldest(places, reached));
    let mut ripens: Option<Time> = None;
    for (place, id) in oldest.filter(|(place, _)| place.reached <= furthest) {
        let at = place.since + grace;
        if at <= now {
            return Candidate::Now(id);
        }
        ripens = ripens.into_iter().chain([at]).min();
    }
    ripens.map_or(Candidate::Nobody, Candidate::At)
}

/// The oldest of those that `reached` just this.
fn oldest(places: &BTreeSet<(Place, PeerId)>, reached: Reached) -> Option<(Place, PeerId)> {
    let since = Time::ZERO;
    let first = (Place { reached, since }, PeerId::from_u64(0));
    let oldest = places.range(first..).next();
    oldest
        .copied()
        .filter(|(place, _)| place.reached == reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_millis(100);

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    fn place(reached: Reached, millis: u64) -> Place {
        let since = at(millis);
        Place { reached, since }
    }

    /// Goal: the most crowded origin gives up the connection that came least far, the oldest
    /// first, and none before its time. Method: one origin with one of each kind and two of
    /// the first, another with one that is older than all; take them out one by one.
    #[test]
    fn the_most_crowded_origin_gives_up_the_least() {
        let (many, few) = (Origin::new(1), Origin::new(2));
        let mut crowd = Crowd::default();
        let comers = [
            (many, place(Reached::Hello, 10)),
            (many, place(Reached::Bytes, 20)),
            (many, place(Reached::Nothing, 40)),
            (many, place(Reached::Nothing, 30)),
            (few, place(Reached::Nothing, 0)),
        ];
        let ids: Vec<_> = (1..).map(PeerId::from_u64).take(comers.len()).collect();
        for (&(origin, place), &id) in comers.iter().zip(&ids) {
            crowd.insert(origin, place, id);
        }
        assert_eq!((crowd.len(), crowd.with_hello()), (5, 1));
        let any = |crowd: &Crowd, millis| crowd.candidate(Reached::Answer, at(millis), GRACE);
        assert_eq!(any(&crowd, 100), Candidate::At(at(110)));
        // One that came further is ripe before those that came less far.
        assert_eq!(any(&crowd, 110), Candidate::Now(ids[0]));
        assert_eq!(any(&crowd, 120), Candidate::Now(ids[1]));
        for n in [3, 2, 1] {
            assert_eq!(any(&crowd, 200), Candidate::Now(ids[n]));
            let (origin, place) = comers[n];
            crowd.remove(origin, place, ids[n]);
        }
        // Both origins have one each. Where a hello that holds may not go, the other goes.
        let bytes = crowd.candidate(Reached::Bytes, at(200), GRACE);
        assert_eq!(bytes, Candidate::Now(ids[4]));
        crowd.remove(few, comers[4].1, ids[4]);
        let bytes = crowd.candidate(Reached::Bytes, at(200), GRACE);
        assert_eq!(bytes, Candidate::Nobody);
        crowd.remove(many, comers[0].1, ids[0]);
        assert_eq!((crowd.len(), crowd.with_hello()), (0, 0));
        assert_eq!(any(&crowd, 200), Candidate::Nobody);
    }

    /// Goal: an origin that keeps its connections young makes no others wait: one of an origin
    /// with at least half as many goes, the oldest; fewer than half are left alone. Method:
    /// three young ones of one origin beside two of each of many, and one of another.
    #[test]
    fn a_young_crowd_makes_nobody_wait() {
        let mut crowd = Crowd::default();
        let mut ids = (1..).map(PeerId::from_u64);
        let mut comes = |crowd: &mut Crowd, origin, millis| {
            let id = ids.next().expect("a range without end");
            crowd.insert(Origin::new(origin), place(Reached::Nothing, millis), id);
            id
        };
        comes(&mut crowd, 0, 0);
        for _ in 0..3 {
            comes(&mut crowd, 999, 1000);
        }
        let any = |crowd: &Crowd| crowd.candidate(Reached::Answer, at(1000), GRACE);
        assert_eq!(any(&crowd), Candidate::At(at(1100)), "fewer than half");
        for n in 1..100 {
            comes(&mut crowd, n, 950);
            comes(&mut crowd, n, 960);
        }
        assert_eq!(any(&crowd), Candidate::At(at(1050)));
        comes(&mut crowd, 50, 970);
        let old = comes(&mut crowd, 200, 500);
        assert_eq!(
            any(&crowd),
            Candidate::At(at(1050)),
            "one of three is fewer than half"
        );
        comes(&mut crowd, 200, 980);
        assert_eq!(any(&crowd), Candidate::Now(old));
    }
}
