//! What must hold when a run is over.

use std::collections::BTreeMap;
use std::time::Duration;

use sealwire::limits::{INPUT_SCRATCH, LOCAL_BUDGET, MAX_RECORD, MOST_SHARE};
use sealwire::{EndpointEvent, Failure, Outcome, Reason};

use super::plan::{Blow, MAX_QUEUE, Order, What};
use super::run::{Call, Client, Run, time};
use crate::actors::Setting;
use crate::people::Log;

/// A client that is accepted later than this is no longer sure to make its handshake in time. In
/// the 200 ms that are left then the server's answer comes: a delay takes 40 ms at most, and all
/// stalls are over.
const MUST_BE_ADMITTED: Duration = Duration::from_millis(4800);
/// A buffer from the pool is at most this much larger than what is in it: from
/// 2049 bytes on it has the size of a record.
const ROUNDED: usize = MAX_RECORD.div_ceil(2049);

impl Run {
    /// Checks everything.
    pub(super) fn check(&self) {
        let server = &self.world.hosts[0];
        server.assert_empty("everybody has left");
        self.check_memory();
        let calm = self.is_calm();
        for client in &self.clients {
            self.check_client(client, calm);
        }
        if calm && self.what == What::Relay {
            self.check_relay_is_whole();
        }
        let setting = Setting {
            calm,
            both: self.classic,
            sends: self.what != What::Sink,
        };
        for actor in &self.actors {
            actor.check(&self.world, &setting);
        }
        if self.what == What::Chat {
            let output = &server.locals[0].output;
            let heard: usize = server.log().all().iter().map(|m| m.len()).sum();
            assert_eq!(output.len(), heard);
        }
    }

    /// Where in the server's events this client joined, if it did and was neither hurt nor given
    /// up.
    fn joined(&self, client: &Client) -> Option<usize> {
        let link = client.call.filter(|_| !client.is_hurt())?.link;
        let (peer, _) = self.world.door.admitted.get(&link)?;
        let server = &self.world.hosts[0];
        if is_given_up(client, &server.outcome(*peer)?) {
            return None;
        }
        let mut events = server.events.iter();
        events.position(|event| matches!(event, EndpointEvent::Joined(id) if id == peer))
    }

    /// In a relay a client that stays hears all that those say that come after it.
    fn check_relay_is_whole(&self) {
        let clients = self.clients.iter();
        let joined = clients.filter_map(|client| Some((self.joined(client)?, client)));
        let joined: Vec<(usize, &Client)> = joined.collect();
        for (since, client) in joined.iter().filter(|(_, client)| client.stays) {
            let host = client.call.expect("it has joined").host;
            let heard = self.world.hosts[host].log().all();
            for (_, sender) in joined.iter().filter(|(later, _)| later > since) {
                let all = sender
                    .plan
                    .iter()
                    .all(|message| heard.contains(&&message[..]));
                assert!(all, "{client:?} misses what was said by {sender:?}");
            }
        }
    }

    /// Whether no connection ends but by what it does itself, or what is done to it.
    fn is_calm(&self) -> bool {
        self.jump.is_none() && !matches!(self.order, Order::Halted(_))
    }

    fn check_memory(&self) {
        let server = &self.world.hosts[0];
        let peers = server.most_connections;
        let bound = peers * (MAX_RECORD + MOST_SHARE)
            + ROUNDED * (peers + 1) * MAX_QUEUE
            + ROUNDED * (self.max_assembling + INPUT_SCRATCH + LOCAL_BUDGET);
        assert!(server.most_held <= bound, "it held {}", server.most_held);
    }

    fn check_client(&self, client: &Client, calm: bool) {
        let server = &self.world.hosts[0];
        let Some(Call { host, link, peer }) = client.call else {
            // It was to come when the run had its ticks.
            return;
        };
        let host = &self.world.hosts[host];
        let at_client = host.outcome(peer).expect("it has left");
        let Some(&(peer, since)) = self.world.door.admitted.get(&link) else {
            assert!(
                at_client.is_err() || client.classic,
                "{client:?}: it was not accepted"
            );
            return self.check_answers(client, host.log(), &at_client, false);
        };
        let at_server = server.outcome(peer).expect("it has left");
        let in_time = since.since(time(client.after)) < MUST_BE_ADMITTED;
        let calm = calm && in_time && !is_given_up(client, &at_server);
        let heard = server.log().of(peer).concat();
        let sent = client.plan.concat();
        assert!(sent.starts_with(&heard), "{client:?}: not what it said");
        // In classic an end cannot be told from a cut, and a side that sees the
        // other's end stops sending.
        let cut_off = client.classic && (self.what == What::Chat || client.is_hurt() || !calm);
        if (at_server.is_ok() || at_client.is_ok()) && !cut_off {
            assert!(heard == sent, "{client:?}: complete, and not all was heard");
        }
        let undisturbed = calm && !client.is_hurt();
        self.check_answers(client, host.log(), &at_client, undisturbed);
        self.check_undisturbed(client, [at_client, at_server], calm);
    }

    /// A client that the run left alone does not fail, and a flipped bit is noticed.
    fn check_undisturbed(&self, client: &Client, outcomes: [Outcome; 2], calm: bool) {
        match client.blow.filter(Blow::hurts) {
            None if !calm => {}
            // The end of one side is that of both, whatever the other had to say.
            None if client.classic && self.what == What::Chat => {}
            None => assert_eq!(outcomes, [Ok(()), Ok(())], "{client:?}"),
            Some(blow) => {
                let link = client.call.expect("it has come").link;
                let victim = &outcomes[usize::from(blow.from_client)];
                let seen = !self.world.net.was_flipped(blow.end(link)) || victim.is_err();
                assert!(seen, "{client:?} {outcomes:?}");
            }
        }
    }

    /// What a client heard is what others said.
    fn check_answers(&self, client: &Client, log: &Log, outcome: &Outcome, undisturbed: bool) {
        let heard = log.all();
        let complete = outcome.is_ok() && !client.classic;
        match self.what {
            What::Sink => assert!(heard.is_empty()),
            What::Echo => {
                assert!(
                    client.plan.concat().starts_with(&heard.concat()),
                    "{client:?}"
                );
                let all = heard.len() == client.plan.len();
                assert!(!(complete || undisturbed) || all, "{client:?}");
            }
            What::Chat => {
                assert!(is_run(&heard, &self.typed));
                let last = self.typed.last().map(|last| &last[..]);
                assert!(!complete || heard.is_empty() || heard.last().copied() == last);
                // Input is read only while a peer is there.
                let all = heard.len() == self.typed.len();
                assert!(
                    !complete || self.joined(client) != Some(0) || all,
                    "{client:?}"
                );
            }
            What::Relay => self.check_relayed(client, &heard),
        }
    }

    /// What came from each sender is a part of its plan, and no sender hears itself.
    fn check_relayed(&self, client: &Client, heard: &[&[u8]]) {
        let mut by_sender: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
        for message in heard {
            let name = message.split(|&byte| byte == b' ').next().unwrap();
            let name = str::from_utf8(name).unwrap();
            by_sender.entry(name).or_default().push(message);
        }
        for (name, heard) in by_sender {
            let number = |name: &str| name.parse::<usize>().unwrap();
            let plan = match name.strip_prefix('x') {
                Some(bad) => &self.actors[number(bad)].said,
                None => &self.clients[number(name)].plan,
            };
            assert!(is_run(&heard, plan), "of {name}");
            assert!(!std::ptr::eq(plan, &client.plan), "{client:?} hears itself");
        }
    }
}

/// Whether `heard` is a part of `plan`, in order and without a gap.
fn is_run(heard: &[&[u8]], plan: &[Vec<u8>]) -> bool {
    heard.is_empty() || plan.windows(heard.len()).any(|part| part == heard)
}

/// Whether the server gave up on a client that it need not wait for: a classic one, so that no
/// native one waits for it; or one that was stalled, and took less than its share meanwhile.
fn is_given_up(client: &Client, at_server: &Outcome) -> bool {
    let slow = matches!(at_server, Err(Failure::Gave(abort)) if abort.reason == Reason::TOO_SLOW);
    slow && (client.classic || client.blow.is_some())
}
