//! What several benches need.

#[path = "../../tests/common/chosen.rs"]
pub(crate) mod chosen;

use sealwire::conn::FirstSecrets;
use sealwire::{Session, SessionEvent as Event, Time};

/// Nothing here waits.
pub(crate) const NOW: Time = Time::ZERO;
const MAX_MESSAGE: usize = 16 << 20;

/// A client and a server that know each other, in memory.
pub(crate) fn pair() -> [Session; 2] {
    let (up, down) = ([1; 32], [2; 32]);
    let mut pair = [(&down, &up), (&up, &down)].map(|(to_us, from_us)| {
        let secrets = FirstSecrets { to_us, from_us };
        Session::open_already(secrets, chosen::kernel(), MAX_MESSAGE, NOW)
    });
    // The server says that it is open when the first message comes.
    let [client, server] = &mut pair;
    let mut wire = Vec::new();
    assert!(client.send(NOW, b"", &mut wire));
    server.receive(NOW, &wire, &mut Vec::new());
    assert_eq!(server.poll_event(), Some(Event::Open));
    assert_eq!(server.poll_event(), Some(Event::Message(Vec::new())));
    pair
}
