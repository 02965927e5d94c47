//! What several benches need.

#[path = "../../tests/common/chosen.rs"]
pub(crate) mod chosen;

use sealwire::conn::Connection;
use sealwire::conn::session::{Session, SessionEvent as Event};
use sealwire::crypto::dh::Private;
use sealwire::crypto::keys::Identity;
use sealwire::crypto::secret::{Secret, SecretPair};
use sealwire::time::Time;

/// Nothing here waits.
pub(crate) const NOW: Time = Time::ZERO;
const MAX_MESSAGE: usize = 16 << 20;

/// A client and a server that know each other, in memory.
pub(crate) fn pair() -> (Session, Session) {
    let secrets = SecretPair {
        confkey: Secret::new(vec![1; 32]),
        authkey: Secret::new(vec![2; 32]),
    };
    let identity = Identity::new(&secrets).expect("32 bytes each");
    let client = Connection::client(identity.clone(), Private::new([3; 32]), NOW);
    let server = Connection::server(identity, Private::new([4; 32]), NOW);
    let kernel = chosen::kernel();
    let mut client = Session::new(client, kernel, MAX_MESSAGE);
    let mut server = Session::new(server, kernel, MAX_MESSAGE);
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    client.start(NOW, &mut to_server);
    server.receive(NOW, &to_server, &mut to_client);
    to_server.clear();
    client.receive(NOW, &to_client, &mut to_server);
    server.receive(NOW, &to_server, &mut to_client);
    assert_eq!(client.poll_event(), Some(Event::Open));
    assert_eq!(server.poll_event(), Some(Event::Open));
    (client, server)
}
