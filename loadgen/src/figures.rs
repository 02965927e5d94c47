//! What follows from the counts and times of a run: rates, and shares.
//!
//! Only arithmetic; told by [`crate::report`], and judged by [`crate::verdict`].

use std::time::Duration;

use crate::plan::{Kind, Over, Plan};
use crate::results::{CryptoCost, Results, Row, ServerUse, Usage};

impl Results {
    /// Messages that were answered in the measured time, whenever they were due.
    /// What is answered later is no part of what the server can do.
    pub(crate) fn answered(&self, plan: &Plan) -> u64 {
        // What is confirmed at the end is not known before.
        if plan.kind == Kind::Sink {
            return self.tally.account.completed;
        }
        self.rows.iter().map(|row| row.completed).sum()
    }

    /// The rate that was asked for, on average over the measured time.
    pub(crate) fn asked_per_second(&self, plan: &Plan) -> Option<f64> {
        let part = seconds(self.took) / seconds(plan.duration);
        plan.rate.map(|rate| rate.mean_until(part.min(1.0)))
    }

    pub(crate) fn messages_per_second(&self, plan: &Plan) -> f64 {
        self.answered(plan) as f64 / seconds(self.took)
    }

    /// How many more messages are under way at the end of the measured time than at its
    /// beginning, though the server is as fast as ever: it has no warm-up that is as
    /// long as a message takes, or the rate has risen. By the least that any took, so
    /// that a server which falls behind is not excused by that.
    pub(crate) fn more_under_way(&self, plan: &Plan) -> f64 {
        let Some(rate) = plan.rate.filter(|_| !self.tally.service.is_empty()) else {
            return 0.0;
        };
        let least = Duration::from_nanos(self.tally.service.min()).min(self.took);
        let before = least.min(plan.warmup);
        (rate.to * least.as_secs_f64() - rate.from * before.as_secs_f64()).max(0.0)
    }

    /// Payload, one way.
    pub(crate) fn megabytes_per_second(&self, plan: &Plan) -> f64 {
        self.messages_per_second(plan) * plan.size as f64 / 1e6
    }

    /// As peers joined; where they come and go, of the measured time.
    pub(crate) fn handshakes_per_second(&self, plan: &Plan) -> f64 {
        if plan.kind != Kind::Churn {
            return self.handshake.len() as f64 / seconds(self.handshakes_took);
        }
        let measured = self.tally.stages.get("handshake");
        measured.map_or(0, |times| times.len()) as f64 / seconds(self.took)
    }

    /// How much of the time of the load each of our threads ran: 1 is all of it.
    pub(crate) fn busy(&self) -> impl Iterator<Item = f64> {
        let loaded = seconds(self.loaded);
        let ran = self.threads.iter().map(|one| one.ran.as_secs_f64());
        ran.map(move |ran| ran / loaded)
    }

    /// How much of it each had to wait for a processor.
    pub(crate) fn waits(&self) -> impl Iterator<Item = f64> {
        let loaded = seconds(self.loaded);
        let waited = self.threads.iter().map(|one| one.waited.as_secs_f64());
        waited.map(move |waited| waited / loaded)
    }

    /// Processor time of the server for each message: user, and system.
    pub(crate) fn server_us_per_message(&self, plan: &Plan) -> Option<(f64, f64)> {
        let answered = self.answered(plan) as f64;
        let server = self.server.filter(|_| answered > 0.0)?.measured();
        let us = |time: Duration| time.as_secs_f64() * 1e6 / answered;
        Some((us(server.user), us(server.system)))
    }

    /// How many messages the server seals and how many it opens for each that it
    /// answers; `None` where that is not what it mostly does.
    fn seals_and_opens(&self, plan: &Plan) -> Option<(f64, f64)> {
        match plan.kind {
            _ if plan.over != Over::Sealed => None,
            // Handshakes.
            Kind::Churn => None,
            Kind::Echo | Kind::Idle => Some((1.0, 1.0)),
            Kind::Sink => Some((0.0, 1.0)),
            // To the other publishers, too.
            Kind::Fanout => Some(((plan.peers + plan.publishers - 1) as f64, 1.0)),
        }
    }

    /// About how many it seals and how many it opens at once: those that have come each
    /// time that it had nothing to do any more.
    pub(crate) fn batches(&self, plan: &Plan) -> Option<(f64, f64)> {
        let (seals, opens) = self.seals_and_opens(plan)?;
        let waits = self.server?.measured().voluntary.max(1);
        let messages = self.answered(plan) as f64 / waits as f64;
        Some((messages * seals, messages * opens))
    }

    /// What sealing and opening its messages takes of the server's processor time:
    /// 1 is all of it.
    pub(crate) fn crypto_share(&self, plan: &Plan) -> Option<f64> {
        let (seals, opens) = self.seals_and_opens(plan)?;
        let CryptoCost { seal, open } = self.crypto?;
        let us = (seals * seconds(seal.took) + opens * seconds(open.took)) * 1e6;
        let (user, system) = self.server_us_per_message(plan)?;
        (user + system > 0.0).then(|| us / (user + system))
    }

    /// What each peer takes of the server's memory, as long as it is there. Who comes
    /// and goes is not there for long.
    pub(crate) fn bytes_per_peer(&self, plan: &Plan) -> Option<f64> {
        let stays = plan.kind != Kind::Churn && self.joined > 0;
        let server = self.server.filter(|_| stays)?;
        let peers = server.before.resident as f64 - server.empty.resident as f64;
        Some(peers.max(0.0) / self.joined as f64)
    }

    /// Whether something was lost or wrong, came twice or out of order, or a peer failed.
    pub(crate) fn found_faults(&self) -> bool {
        let tally = &self.tally;
        let count = |name| tally.counts.get(name).copied().unwrap_or_default();
        let faults = [
            count("duplicates"),
            count("reordered"),
            tally.lost,
            tally.wrong,
            tally.account.errors,
            self.failed,
        ];
        faults.into_iter().any(|count| count > 0)
    }

    /// How often the server waited, and how often it was made to, each second.
    pub(crate) fn switches_per_second(&self) -> Option<(f64, f64)> {
        let server = self.server?.measured();
        let rate = |count: u64| count as f64 / seconds(self.took);
        Some((rate(server.voluntary), rate(server.involuntary)))
    }
}

impl ServerUse {
    /// What was used in the measured time; of memory and descriptors, what it has
    /// at the end of it.
    pub(crate) fn measured(&self) -> Usage {
        self.after.since(self.before)
    }
}

impl Row {
    pub(crate) fn messages_per_second(&self) -> f64 {
        self.completed as f64 / seconds(self.took)
    }
}

/// Never nothing, so that a rate is a number.
pub(crate) fn seconds(time: Duration) -> f64 {
    time.max(Duration::from_nanos(1)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, SECOND};

    /// Goal: what is answered behind the measured time is no part of the rate, but
    /// in a sink nothing is known before. Method: half of the answers come late.
    #[test]
    fn late_answers_are_no_rate() {
        let (mut plan, mut results) = (testing::plan(), testing::results());
        results.rows.iter_mut().for_each(|row| row.completed /= 2);
        assert_eq!(results.messages_per_second(&plan), 500.0);
        plan.kind = Kind::Sink;
        assert_eq!(results.messages_per_second(&plan), 1000.0);
        plan.kind = Kind::Echo;
        // Cut short in its last interval.
        results.took = SECOND * 39 / 2;
        results.rows[19].took = SECOND / 2;
        results.rows[19].completed = 250;
        assert_eq!(results.messages_per_second(&plan), 500.0);
        assert_eq!(results.megabytes_per_second(&plan), 0.05);
        results.rows.clear();
        assert_eq!(results.messages_per_second(&plan), 0.0);
    }

    /// Goal: threads are as busy as they were while there was load, however long a stream
    /// took to be confirmed behind it. Method: as long again.
    #[test]
    fn busy_in_the_load() {
        let mut results = testing::results();
        let busy = |results: &Results| results.busy().chain(results.waits()).collect::<Vec<_>>();
        let before = busy(&results);
        results.took *= 2;
        assert_eq!(busy(&results), before);
        assert_eq!(before, [0.2, 0.25, 0.01, 0.01]);
    }

    /// Goal: crypto's share is that of what the server seals and opens. Method:
    /// each workload; 10 us for a message, 0.3 to seal it and 0.2 to open it.
    #[test]
    fn cryptos_share() {
        let (mut plan, results) = (testing::plan(), testing::results());
        for (kind, share) in [
            (Kind::Echo, Some(0.05)),
            (Kind::Idle, Some(0.05)),
            (Kind::Sink, Some(0.02)),
            // To 64 subscribers.
            (Kind::Fanout, Some(1.94)),
            (Kind::Churn, None),
        ] {
            plan.kind = kind;
            let rounded = results.crypto_share(&plan);
            let rounded = rounded.map(|share| (share * 1e6).round() / 1e6);
            assert_eq!(rounded, share, "{kind:?}");
        }
        (plan.kind, plan.publishers) = (Kind::Fanout, 4);
        let share = results.crypto_share(&plan);
        assert_eq!(share.map(|share| (share * 100.0).round()), Some(203.0));
        plan.kind = Kind::Echo;
        plan.over = Over::Plain;
        assert_eq!(results.crypto_share(&plan), None);
    }

    /// Goal: how many messages the server has at once is what it answers each time that
    /// it has waited. Method: 1000 messages and 500 waits a second, in each workload.
    #[test]
    fn messages_at_once() {
        let (mut plan, mut results) = (testing::plan(), testing::results());
        assert_eq!(results.batches(&plan), Some((2.0, 2.0)));
        plan.kind = Kind::Sink;
        assert_eq!(results.batches(&plan), Some((0.0, 2.0)));
        plan.kind = Kind::Fanout;
        assert_eq!(results.batches(&plan), Some((128.0, 2.0)));
        plan.kind = Kind::Churn;
        assert_eq!(results.batches(&plan), None);
        plan.kind = Kind::Echo;
        results.server = None;
        assert_eq!(results.batches(&plan), None);
    }

    /// Goal: a server that gave memory back since it was empty has peers of no
    /// bytes, and without peers, or with those who come and go, there is nothing to
    /// tell.
    #[test]
    fn memory_of_peers() {
        let (mut plan, mut results) = (testing::plan(), testing::results());
        assert_eq!(results.bytes_per_peer(&plan), Some(1500.0));
        results.joined = 0;
        assert_eq!(results.bytes_per_peer(&plan), None);
        results.joined = 64;
        plan.kind = Kind::Churn;
        assert_eq!(results.bytes_per_peer(&plan), None);
        plan.kind = Kind::Echo;
        if let Some(server) = &mut results.server {
            server.before.resident = 0;
        }
        assert_eq!(results.bytes_per_peer(&plan), Some(0.0));
    }

    /// Goal: a rate of handshakes is of those of the time that it is taken by. Method:
    /// peers that stay; those that come and go, with some before and behind the
    /// measured time.
    #[test]
    fn handshakes() {
        let (mut plan, mut results) = (testing::plan(), testing::results());
        assert_eq!(results.handshakes_per_second(&plan), 128.0);
        plan.kind = Kind::Churn;
        let measured = results.tally.service.clone();
        results.tally.stages.insert("handshake", measured);
        results.handshake.saturating_record_n(400_000, 30_000);
        assert_eq!(results.handshakes_per_second(&plan), 1000.0);
    }
}
