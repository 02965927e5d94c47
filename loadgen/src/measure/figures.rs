//! What follows from the counts and times of a run: rates and shares. Only arithmetic.

use std::time::Duration;

use serde::Serialize;

use super::results::{CryptoCost, Results, ServerUse, Usage};
use crate::plan::{Kind, Transport};

/// Rates and shares of a run, with their names in JSON; `None` is not known.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// Messages that were answered in the measured time, whenever they were due. A later answer
    /// does not count, because the server did not reach it in that time.
    pub(crate) measured_messages: u64,
    pub(crate) messages_per_second: f64,
    /// The rate that was asked for, on average over the measured time.
    pub(crate) asked_messages_per_second: Option<f64>,
    /// Payload, one way.
    pub(crate) megabytes_per_second: f64,
    /// While peers joined; if they come and go, in the measured time.
    pub(crate) handshakes_per_second: f64,
    /// How much of the time of the load each of our threads ran: 1 is all of it.
    pub(crate) generator_busy: Vec<f64>,
    /// How much of it each had to wait for a processor.
    pub(crate) generator_waits: Vec<f64>,
    /// CPU time of the server for each message.
    pub(crate) server_cpu_us_per_message: Option<f64>,
    pub(crate) server_user_us_per_message: Option<f64>,
    pub(crate) server_system_us_per_message: Option<f64>,
    /// Memory of the server for each peer. A peer that comes and goes has no lasting share.
    pub(crate) server_bytes_per_peer: Option<f64>,
    /// How often the server waited, and how often it was preempted.
    pub(crate) server_voluntary_switches_per_second: Option<f64>,
    pub(crate) server_involuntary_switches_per_second: Option<f64>,
    server_empty: Option<Usage>,
    server_before: Option<Usage>,
    server_after: Option<Usage>,
    pub(crate) seal_ns: Option<f64>,
    pub(crate) seal_batch: Option<usize>,
    pub(crate) open_ns: Option<f64>,
    pub(crate) open_batch: Option<usize>,
    /// Sealing and opening as a share of the server's CPU time: 1 is all of it.
    pub(crate) crypto_share_of_server_cpu: Option<f64>,
}

impl Figures {
    pub(crate) fn of(results: &Results) -> Self {
        let (plan, server) = (&results.plan, results.server);
        let took = seconds(results.took);
        let answered = results.answered();
        let rate = answered as f64 / took;
        let used = server.map(|server| server.measured());
        let each = used.filter(|_| answered > 0).map(|used| {
            [used.user, used.system].map(|time| time.as_secs_f64() * 1e6 / answered as f64)
        });
        let loaded = seconds(results.loaded);
        let part = |time: Duration| time.as_secs_f64() / loaded;
        let crypto = results.crypto;
        let cpu = each.map(|[user, system]| user + system);
        Self {
            measured_messages: answered,
            messages_per_second: rate,
            asked_messages_per_second: plan.rate.map(|rate| {
                let part = took / seconds(plan.duration);
                rate.mean_until(part.min(1.0))
            }),
            megabytes_per_second: rate * plan.size as f64 / 1e6,
            handshakes_per_second: match plan.kind {
                Kind::Churn => {
                    let measured = results.tally.stages.get("handshake");
                    measured.map_or(0, |times| times.len()) as f64 / took
                }
                _ => results.handshake.len() as f64 / seconds(results.handshakes_took),
            },
            generator_busy: results.threads.iter().map(|one| part(one.ran)).collect(),
            generator_waits: results.threads.iter().map(|one| part(one.waited)).collect(),
            server_cpu_us_per_message: cpu,
            server_user_us_per_message: each.map(|[user, _]| user),
            server_system_us_per_message: each.map(|[_, system]| system),
            server_bytes_per_peer: results.bytes_per_peer(),
            server_voluntary_switches_per_second: used.map(|used| used.voluntary as f64 / took),
            server_involuntary_switches_per_second: used.map(|used| used.involuntary as f64 / took),
            server_empty: server.map(|server| server.empty),
            server_before: server.map(|server| server.before),
            server_after: server.map(|server| server.after),
            seal_ns: crypto.map(|cost| seconds(cost.seal.took) * 1e9),
            seal_batch: crypto.map(|cost| cost.seal.batch),
            open_ns: crypto.map(|cost| seconds(cost.open.took) * 1e9),
            open_batch: crypto.map(|cost| cost.open.batch),
            crypto_share_of_server_cpu: cpu.and_then(|cpu| results.crypto_share(cpu)),
        }
    }
}

impl Results {
    fn answered(&self) -> u64 {
        match self.plan.kind {
            // A sink confirms only at the end.
            Kind::Sink => self.tally.account.completed,
            _ => self
                .intervals
                .iter()
                .map(|interval| interval.completed)
                .sum(),
        }
    }

    /// How many messages the server seals and opens for each answer, if that is its main work,
    /// and if each has a record of its own: it is not known how many share one.
    fn seals_and_opens(&self) -> Option<(f64, f64)> {
        let plan = &self.plan;
        match plan.kind {
            _ if plan.over != Transport::Sealed || plan.may_share_records() => None,
            // Handshakes.
            Kind::Churn => None,
            Kind::Echo | Kind::Idle => Some((1.0, 1.0)),
            Kind::Sink => Some((0.0, 1.0)),
            // To the other publishers, too.
            Kind::Fanout => Some(((plan.peers + plan.publishers - 1) as f64, 1.0)),
        }
    }

    /// About how many the server seals and opens at once: the messages between two waits.
    pub(crate) fn batches(&self) -> Option<(f64, f64)> {
        let (seals, opens) = self.seals_and_opens()?;
        let waits = self.server?.measured().voluntary.max(1);
        let messages = self.answered() as f64 / waits as f64;
        Some((messages * seals, messages * opens))
    }

    /// Sealing and opening as a part of the `us` of CPU time for a message.
    fn crypto_share(&self, us: f64) -> Option<f64> {
        let (seals, opens) = self.seals_and_opens()?;
        let CryptoCost { seal, open } = self.crypto?;
        let crypto = (seals * seconds(seal.took) + opens * seconds(open.took)) * 1e6;
        (us > 0.0).then(|| crypto / us)
    }

    fn bytes_per_peer(&self) -> Option<f64> {
        let joined = self.peers.joined;
        let stays = self.plan.kind != Kind::Churn && joined > 0;
        let server = self.server.filter(|_| stays)?;
        let peers = server.before.resident as f64 - server.empty.resident as f64;
        Some(peers.max(0.0) / joined as f64)
    }

    /// How many more messages are in flight at the end of the measured time than at its beginning,
    /// if the server keeps up: because the warm-up is shorter than a message takes, or the rate
    /// rises. The least service time counts, so that a server that falls behind is not excused.
    pub(crate) fn more_in_flight(&self) -> f64 {
        let Some(rate) = self.plan.rate.filter(|_| !self.tally.service.is_empty()) else {
            return 0.0;
        };
        let least = Duration::from_nanos(self.tally.service.min()).min(self.took);
        let before = least.min(self.plan.warmup);
        (rate.to * least.as_secs_f64() - rate.from * before.as_secs_f64()).max(0.0)
    }

    /// Whether something was lost or wrong, came twice or out of order, or a peer failed.
    pub(crate) fn found_faults(&self) -> bool {
        let tally = &self.tally;
        let [twice, late] = ["duplicates", "reordered"].map(|name| tally.counts.get(name));
        let counted = twice.into_iter().chain(late).sum::<u64>();
        counted + tally.lost + tally.wrong + tally.account.errors + self.peers.failed > 0
    }
}

impl ServerUse {
    /// What was used in the measured time; memory and descriptors are those at its end.
    pub(crate) fn measured(&self) -> Usage {
        self.after.since(self.before)
    }
}

/// Never 0, so that a rate is a number.
pub(crate) fn seconds(time: Duration) -> f64 {
    time.max(Duration::from_nanos(1)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use sealwire::limits::PACK_UP_TO;

    use super::*;
    use crate::testing::{self, SECOND};

    /// The figures of the made-up run after `change`.
    fn figures(change: impl FnOnce(&mut Results)) -> Figures {
        Figures::of(&testing::changed(change))
    }

    /// Goal: answers after the measured time do not count, except in a sink, which confirms
    /// only then. Method: half of the answers come late.
    #[test]
    fn late_answers_are_no_rate() {
        let half = |results: &mut Results| testing::answers(results, |count| count / 2);
        assert_eq!(figures(half).messages_per_second, 500.0);
        let sink = figures(|results| {
            half(results);
            results.plan.kind = Kind::Sink;
        });
        assert_eq!(sink.messages_per_second, 1000.0);
        let cut_short = figures(|results| {
            half(results);
            // In its last interval.
            results.took = SECOND * 39 / 2;
            results.intervals[19].completed = 250;
        });
        assert_eq!(cut_short.messages_per_second, 500.0);
        assert_eq!(cut_short.megabytes_per_second, 0.05);
        let none = figures(|results| results.intervals.clear());
        assert_eq!(none.messages_per_second, 0.0);
    }

    /// Goal: threads are as busy as they were while there was load, however long a stream
    /// took to be confirmed after it. Method: as long again.
    #[test]
    fn busy_in_the_load() {
        for longer in [1, 2] {
            let figures = figures(|results| results.took *= longer);
            assert_eq!(figures.generator_busy, [0.2, 0.25]);
            assert_eq!(figures.generator_waits, [0.01, 0.01]);
        }
    }

    /// Goal: crypto's share, and how many messages the server has at once, are those of the
    /// messages that it seals and opens. Method: each workload; 10 us for a message, 0.3 to
    /// seal it and 0.2 to open it; 1000 messages and 500 waits a second.
    #[test]
    fn cryptos_share() {
        for (kind, publishers, share, batches) in [
            (Kind::Echo, 1, Some(0.05), Some((2.0, 2.0))),
            (Kind::Idle, 1, Some(0.05), Some((2.0, 2.0))),
            // Its messages of 100 bytes share records, as those of several publishers do.
            (Kind::Sink, 1, None, None),
            // To 64 subscribers.
            (Kind::Fanout, 1, Some(1.94), Some((128.0, 2.0))),
            (Kind::Fanout, 4, None, None),
            (Kind::Churn, 1, None, None),
        ] {
            let mut results = testing::results();
            (results.plan.kind, results.plan.publishers) = (kind, publishers);
            let told = Figures::of(&results).crypto_share_of_server_cpu;
            let rounded = told.map(|share| (share * 1e6).round() / 1e6);
            assert_eq!(rounded, share, "{kind:?}");
            assert_eq!(results.batches(), batches, "{kind:?}");
            results.server = None;
            assert_eq!(results.batches(), None);
        }
        let long = figures(|results| {
            (results.plan.kind, results.plan.size) = (Kind::Sink, PACK_UP_TO + 1);
        });
        let share = long.crypto_share_of_server_cpu;
        assert!(share.is_some_and(|share| (share - 0.02).abs() < 1e-9));
        let plain = figures(|results| results.plan.over = Transport::Plain);
        assert_eq!(plain.crypto_share_of_server_cpu, None);
    }

    /// Goal: a server that gave memory back since it was empty has peers of 0 bytes; without
    /// peers, or with peers that come and go, the figure is unknown. Method: a run of each.
    #[test]
    fn memory_of_peers() {
        for (kind, joined, empty, due) in [
            (Kind::Echo, 64, 10 << 20, Some(1500.0)),
            (Kind::Echo, 64, 1 << 40, Some(0.0)),
            (Kind::Echo, 0, 10 << 20, None),
            (Kind::Churn, 64, 10 << 20, None),
        ] {
            let figures = figures(|results| {
                (results.plan.kind, results.peers.joined) = (kind, joined);
                results.server.as_mut().unwrap().empty.resident = empty;
            });
            assert_eq!(figures.server_bytes_per_peer, due);
        }
    }

    /// Goal: a rate of handshakes counts the handshakes of the time it divides by. Method:
    /// peers that stay; peers that come and go, also before and after the measured time.
    #[test]
    fn handshakes() {
        assert_eq!(figures(|_| {}).handshakes_per_second, 128.0);
        let churn = figures(|results| {
            results.plan.kind = Kind::Churn;
            let measured = results.tally.service.clone();
            results.tally.stages.insert("handshake", measured);
            results.handshake.saturating_record_n(400_000, 30_000);
        });
        assert_eq!(churn.handshakes_per_second, 1000.0);
    }
}
