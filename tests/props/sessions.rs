//! Two sessions: their streams are cut into any pieces, and any bit of them is changed.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use sealwire::limits::{DEAD_AFTER, EPOCH_BITS, MAX_PAYLOAD, MIN_RECORD};
use sealwire::{
    Deadline, Failure, Identity, Outcome, Secret, SecretPair, Session, SessionEvent as Event, Time,
};

use crate::plan::any_bytes;

const NOW: Time = Time::ZERO;
const MAX_MESSAGE: usize = 1 << 20;

/// One side, the messages that it sends, and those that it has received.
struct Side {
    session: Session,
    plan: Vec<Vec<u8>>,
    heard: Vec<Vec<u8>>,
    outcome: Option<Outcome>,
    shuts_down: bool,
    /// Bytes on their way to the other side, and how many have left before.
    out: Vec<u8>,
    sent: usize,
}

impl Side {
    fn new(session: Session, plan: Vec<Vec<u8>>) -> Self {
        Self {
            session: session.with_max_message(MAX_MESSAGE),
            plan,
            heard: Vec::new(),
            outcome: None,
            shuts_down: false,
            out: Vec::new(),
            sent: 0,
        }
    }

    /// Acts on events: sends all messages as soon as it may, then FIN.
    fn act(&mut self) {
        while let Some(event) = self.session.poll_event() {
            assert_eq!(self.outcome, None, "nothing follows the end");
            match event {
                Event::Open => {
                    for message in &self.plan {
                        // It fails if the session has ended by now, because the next bytes were wrong.
                        let _ = self.session.send(NOW, message, &mut self.out);
                    }
                    self.session.finish(NOW, &mut self.out);
                }
                Event::Message(message) => self.heard.push(message),
                Event::ShutDown => self.shuts_down = true,
                Event::Over(outcome) => self.outcome = Some(outcome),
                _ => {}
            }
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        if self.outcome.is_none() {
            self.session.receive(NOW, bytes, &mut self.out);
            self.act();
        }
    }
}

/// A client and a server with these plans.
fn pair(plans: [Vec<Vec<u8>>; 2]) -> [Side; 2] {
    let secrets = SecretPair {
        confkey: Secret::new(vec![1; 32]),
        authkey: Secret::new(vec![2; 32]),
    };
    let identity = Identity::new(&secrets).unwrap();
    let kernel = crate::chosen::kernel();
    let client = Session::client(identity.clone(), kernel, [3; 32], NOW);
    let server = Session::server(identity, kernel, [4; 32], NOW);
    let [of_client, of_server] = plans;
    let mut sides = [Side::new(client, of_client), Side::new(server, of_server)];
    let client = &mut sides[0];
    client.session.start(NOW, &mut client.out);
    sides
}

/// Carries bytes both ways in pieces of these sizes until nothing moves, then
/// ends the streams. `flip` changes a bit of what side 0 or 1 sends.
fn carry(sides: &mut [Side; 2], pieces: &[usize], flip: Option<(usize, usize, u8)>) {
    let mut pieces = pieces.iter().copied().cycle();
    while sides.iter().any(|side| !side.out.is_empty()) {
        for from in 0..2 {
            let [a, b] = &mut *sides;
            let (sender, receiver) = if from == 0 { (a, b) } else { (b, a) };
            let count = pieces.next().unwrap().min(sender.out.len());
            if count == 0 {
                continue;
            }
            let mut piece: Vec<u8> = sender.out.drain(..count).collect();
            if let Some((side, place, bit)) = flip
                && side == from
                && (sender.sent..sender.sent + count).contains(&place)
            {
                piece[place - sender.sent] ^= 1 << bit;
            }
            sender.sent += count;
            receiver.receive(&piece);
        }
    }
    sides.iter_mut().for_each(|side| side.receive(&[]));
}

/// Two sides behind their handshake: the server has sent all, the client has not acted.
fn shaken() -> [Side; 2] {
    let [mut client, mut server] = pair([Vec::new(), vec![b"still here".to_vec()]]);
    let hello = std::mem::take(&mut client.out);
    let (mut answer, mut first) = (Vec::new(), Vec::new());
    server.session.receive(NOW, &hello, &mut answer);
    client.session.receive(NOW, &answer, &mut first);
    server.receive(&first);
    [client, server]
}

fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let len = prop_oneof![
        6 => 0..200_usize,
        2 => MAX_PAYLOAD - 2..MAX_PAYLOAD + 3,
        1 => 0..100_000_usize,
    ];
    let message = (len, any::<u32>()).prop_map(|(len, seed)| any_bytes(seed, len));
    vec(message, 0..6)
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    let piece = prop_oneof![4 => 1..100_usize, 2 => 100..5000_usize, 2 => 5000..100_000_usize];
    vec(piece, 1..12)
}

/// How much each side of these plans sends when nothing is changed.
fn sent(plans: &[Vec<Vec<u8>>; 2]) -> [usize; 2] {
    let mut sides = pair(plans.clone());
    carry(&mut sides, &[1 << 20], None);
    sides.map(|side| side.sent)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Goal: messages of any size arrive as they were sent, both ways, and both sides are
    /// complete. Method: streams cut into any pieces.
    #[test]
    fn messages_survive_any_cut(plans in [messages(), messages()], pieces in pieces()) {
        let mut sides = pair(plans);
        carry(&mut sides, &pieces, None);
        for (side, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
            prop_assert!(side.heard == other.plan);
            prop_assert!(side.shuts_down);
            prop_assert_eq!(&side.outcome, &Some(Ok(())));
        }
    }

    /// Goal: a changed bit is noticed, and nothing wrong is ever handed on. Method: any bit
    /// of either stream; its receiver must fail, with the messages before it handed on, and
    /// nothing else.
    #[test]
    fn a_flipped_bit_is_noticed(
        plans in [messages(), messages()],
        pieces in pieces(),
        from in 0..2_usize,
        place: Index,
        early: bool,
        bit in 0..8_u8,
    ) {
        let sent = sent(&plans)[from];
        let place = place.index(if early { sent.min(300) } else { sent });
        let mut sides = pair(plans);
        carry(&mut sides, &pieces, Some((from, place, bit)));
        prop_assert!(sides[from].sent > place, "it was never sent");
        let victim = sides[1 - from].outcome.clone();
        prop_assert!(matches!(victim, Some(Err(_))), "{victim:?}");
        for (side, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
            prop_assert!(other.plan.starts_with(&side.heard));
        }
    }
}

/// Goal: a session receives any number of records at once, and goes on over the ends of
/// epochs in the middle of a batch. Method: empty messages in one direction, of a little more
/// than two epochs in one piece (70 MB) and of one epoch in pieces that divide nothing; then
/// what the other side has sent.
#[test]
fn epochs_end_unnoticed() {
    for (epochs, piece) in [(2, usize::MAX), (1, 9973)] {
        let count = (epochs << EPOCH_BITS) + 10;
        let [mut client, mut server] = shaken();
        let mut stream = Vec::new();
        for _ in 0..count {
            assert!(client.session.send(NOW, b"", &mut stream));
        }
        assert_eq!(stream.len(), count * MIN_RECORD);
        let mut received = 0;
        for piece in stream.chunks(piece) {
            server.session.receive(NOW, piece, &mut server.out);
            while let Some(event) = server.session.poll_event() {
                assert_eq!(event, Event::Message(Vec::new()));
                received += 1;
            }
        }
        assert_eq!(received, count);
        client.session.receive(NOW, &server.out, &mut stream);
        let events: Vec<Event> = std::iter::from_fn(|| client.session.poll_event()).collect();
        let said = Event::Message(b"still here".to_vec());
        assert_eq!(events, [Event::Open, said, Event::Fin]);
    }
}

/// Goal: a session that is confirmed by hand tells the other side that everything is handed on
/// when its caller says so, and not before. Method: both sides finish; the server confirms only
/// after it has had everything.
#[test]
fn confirmed_by_hand() {
    let [mut client, mut server] = shaken();
    server.session = server.session.confirming_by_hand();
    client.receive(&std::mem::take(&mut server.out));
    server.receive(&std::mem::take(&mut client.out));
    assert!(server.out.is_empty() && !server.shuts_down);
    server.session.confirm(NOW, &mut server.out);
    server.act();
    assert_eq!(server.out.len(), MIN_RECORD);
    client.receive(&server.out);
    for mut side in [client, server] {
        assert!(side.shuts_down);
        side.receive(&[]);
        assert_eq!(side.outcome, Some(Ok(())));
    }
}

/// Goal: the other side's silence counts only while the caller reads. Method: twice as long
/// without reading, which brings a PING, and once with it.
#[test]
fn silence_counts_while_it_is_read() {
    let [mut client, _] = shaken();
    client.act();
    client.out.clear();
    client.session.set_reading(NOW, false);
    let later = NOW + 2 * DEAD_AFTER;
    client.session.handle_timeout(later, &mut client.out);
    client.act();
    assert_eq!((client.out.len(), &client.outcome), (MIN_RECORD, &None));
    client.session.set_reading(later, true);
    client
        .session
        .handle_timeout(later + DEAD_AFTER, &mut client.out);
    client.act();
    let silence = Failure::Deadline(Deadline::Silence(DEAD_AFTER));
    assert_eq!(client.outcome, Some(Err(silence)));
}
