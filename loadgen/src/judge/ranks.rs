//! Whether two groups of figures differ by more than chance: the test of Mann and Whitney
//! (Wilcoxon's rank-sum test), exactly, also where figures are equal.
//!
//! If both groups come from the same source, every way to deal the ranks to them is as likely as
//! any other. The test counts the ways that are as far from the middle as what was seen, or
//! farther. It needs no shape of the distribution: times have none that is known.

/// How likely groups of one source differ as much as `one` and `other`, in either direction; 1 if
/// one of them is empty. The work grows with the fourth power of their number.
pub(crate) fn chance(one: &[f64], other: &[f64]) -> f64 {
    let ranks = doubled_ranks(one, other);
    let seen: usize = ranks[..one.len()].iter().sum();
    let ways = ways(&ranks, one.len());
    let all: f64 = ways.iter().sum();
    // The middle of all sums, times two: sums are of doubled ranks already.
    let middle = one.len() * (ranks.len() + 1);
    let far = seen.abs_diff(middle);
    let as_far = ways.iter().enumerate();
    let as_far = as_far.filter(|(sum, _)| sum.abs_diff(middle) >= far);
    as_far.map(|(_, ways)| ways).sum::<f64>() / all
}

/// The least chance that groups of this size can have: that of two which do not overlap.
pub(crate) fn least_chance(one: usize, other: usize) -> f64 {
    let group = |from: usize, count: usize| (from..from + count).map(|k| k as f64);
    let [one, other] = [group(0, one), group(one, other)].map(Iterator::collect::<Vec<_>>);
    chance(&one, &other)
}

/// The rank of each figure among all, times two: equal figures share the mean of their ranks,
/// which may be a half.
fn doubled_ranks(one: &[f64], other: &[f64]) -> Vec<usize> {
    let all: Vec<_> = one.iter().chain(other).copied().collect();
    let rank = |figure: &f64| {
        let less = all.iter().filter(|other| *other < figure).count();
        let equal = all.iter().filter(|other| *other == figure).count();
        2 * less + equal + 1
    };
    all.iter().map(rank).collect()
}

/// For each sum: in how many ways `count` of the ranks have it.
fn ways(ranks: &[usize], count: usize) -> Vec<f64> {
    let most: usize = ranks.iter().sum();
    let mut ways = vec![vec![0.0; most + 1]; count + 1];
    ways[0][0] = 1.0;
    for &rank in ranks {
        // From the largest group on, so that no rank is taken twice.
        for taken in (1..=count).rev() {
            let (fewer, more) = ways.split_at_mut(taken);
            let one_fewer = &fewer[taken - 1];
            for (to, from) in more[0][rank..].iter_mut().zip(one_fewer) {
                *to += from;
            }
        }
    }
    ways.swap_remove(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two groups of these sizes without equal figures, of which the first is ahead of the other in
    /// `u` pairs.
    fn groups(one: usize, other: usize, u: usize) -> (Vec<f64>, Vec<f64>) {
        let others = (0..other).map(|k| k as f64);
        // Each of the first group is behind as many of the others as are left for it.
        let mut left = u;
        let place = |k: usize| {
            let behind = left.min(other);
            left -= behind;
            behind as f64 - 0.5 + k as f64 / 1000.0
        };
        let mut first: Vec<_> = (0..one).map(place).collect();
        first.sort_unstable_by(f64::total_cmp);
        (first, others.collect())
    }

    /// Goal: the test rejects where the published tables do, and not one pair later. Method: the
    /// critical values of U, two-sided, of Mann and Whitney's tables for 5 % and 1 %.
    #[test]
    fn published_tables() {
        for (level, one, other, critical) in [
            (0.05, 4, 4, 0),
            (0.05, 5, 5, 2),
            (0.05, 6, 5, 3),
            (0.05, 7, 7, 8),
            (0.05, 8, 8, 13),
            (0.05, 10, 7, 14),
            (0.05, 10, 10, 23),
            (0.05, 15, 15, 64),
            (0.05, 20, 20, 127),
            (0.01, 5, 5, 0),
            (0.01, 6, 6, 2),
            (0.01, 7, 7, 4),
            (0.01, 8, 8, 7),
            (0.01, 10, 10, 16),
            (0.01, 20, 20, 105),
        ] {
            let chance_at = |u| {
                let (first, second) = groups(one, other, u);
                let ahead = first
                    .iter()
                    .map(|a| second.iter().filter(|b| a > *b).count());
                assert_eq!(ahead.sum::<usize>(), u);
                chance(&first, &second)
            };
            let (at, beyond) = (chance_at(critical), chance_at(critical + 1));
            assert!(
                at <= level && level < beyond,
                "{one} {other}: {at} {beyond}"
            );
        }
    }

    /// Goal: equal figures share their ranks, and what is the same on both sides is chance. Method:
    /// values that are counted by hand.
    #[test]
    fn equal_figures() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(chance(&[1.0, 1.0], &[1.0, 1.0, 1.0]), 1.0);
        // Of the six ways to take two of 1, 2, 2, 3, two are as far from the middle as {1, 2}
        // is on either side: {1, 2} twice, {2, 3} twice.
        close(chance(&[1.0, 2.0], &[2.0, 3.0]), 4.0 / 6.0);
        close(chance(&[], &[1.0]), 1.0);
        close(chance(&[1.0], &[]), 1.0);
        close(least_chance(5, 5), 2.0 / 252.0);
        close(least_chance(3, 4), 2.0 / 35.0);
        close(least_chance(1, 0), 1.0);
    }
}
