//! How rounds are made, and what is made of their figures.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing;

/// Goal: a median of an even number is between the two in the middle.
#[test]
fn medians() {
    for (values, due) in [
        (vec![3.0], [3.0, 3.0, 3.0]),
        (vec![4.0, 1.0], [1.0, 2.5, 4.0]),
        (vec![9.0, 1.0, 2.0], [1.0, 2.0, 9.0]),
    ] {
        let rounds = values.len();
        let spread = Spread::of(values).unwrap();
        assert_eq!([spread.least, spread.median, spread.most], due);
        assert_eq!(spread.rounds, rounds);
    }
    assert!(Spread::of(Vec::new()).is_none());
}

/// Goal: a transport is not always run behind the same other one. Method: count who
/// follows whom, and who is first, in some rounds.
#[test]
fn nobody_has_always_the_same_before() {
    for transports in [2, 3] {
        let rounds: Vec<_> = (0..6).map(|round| order(round, transports)).collect();
        for one in 0..transports {
            assert!(rounds.iter().any(|order| order[0] == one), "{rounds:?}");
            for other in (0..transports).filter(|other| *other != one) {
                let follows = |order: &Vec<usize>| order.windows(2).any(|two| two == [other, one]);
                assert!(rounds.iter().any(follows), "{other}, {one}: {rounds:?}");
            }
        }
    }
}

/// Goal: a run that could not be made leaves the others as they are: ratios are of the
/// rounds that both have. Method: three rounds; one fails of one transport, then one more.
#[test]
fn a_run_fails() {
    let plan = testing::plan();
    let environment = testing::environment();
    let mut comparison = Comparison::new(&plan, 3, environment.fastest);
    let fail = |comparison: &mut Comparison| comparison.failed(1, Error::Local("no port".into()));
    let note = |comparison: &mut Comparison, index: usize, ran: u32| {
        let mut results = testing::results();
        results
            .rows
            .iter_mut()
            .for_each(|row| row.completed *= u64::from(ran));
        comparison.note(index, &plan, &results, &environment);
    };
    for index in 0..Over::ALL.len() {
        note(&mut comparison, index, 1);
    }
    note(&mut comparison, 0, 7);
    fail(&mut comparison).unwrap();
    note(&mut comparison, 0, 2);
    note(&mut comparison, 1, 1);
    let ratio = comparison.transports[0].ratio(&comparison.transports[1], Figure::Throughput);
    let ratio = ratio.unwrap();
    assert_eq!((ratio.least, ratio.most, ratio.rounds), (1.0, 2.0, 2));
    assert_eq!(comparison.transports[1].count(), 2);
    // No two are left.
    let error = fail(&mut comparison).unwrap_err().to_string();
    assert_eq!(error, "no port");
}
