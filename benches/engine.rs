//! What one message costs from the call that sends it to the event at the other
//! side, over a pair of connections in memory: sealing, framing, opening and
//! the rules in between, with no socket.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sealwire::conn::Connection;
use sealwire::conn::session::{Event, Session};
use sealwire::crypto::dh::Private;
use sealwire::crypto::kernel::Kernel;
use sealwire::crypto::keys::Identity;
use sealwire::crypto::secret::{Secret, SecretPair};
use sealwire::time::Time;

const NOW: Time = Time::ZERO;
const MAX_MESSAGE: usize = 16 << 20;

/// Two sessions that know each other.
fn pair() -> (Session, Session) {
    let secrets = SecretPair {
        confkey: Secret::new(vec![1; 32]),
        authkey: Secret::new(vec![2; 32]),
    };
    let identity = Arc::new(Identity::new(&secrets).expect("32 bytes each"));
    let client = Connection::client(identity.clone(), Private::new([3; 32]), NOW);
    let server = Connection::server(identity, Private::new([4; 32]), NOW);
    let kernel = Kernel::chosen().expect("a kernel");
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

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    for size in [64, 1024, 16_384, 1 << 20] {
        let (mut client, mut server) = pair();
        let message = vec![0x5a; size];
        let (mut wire, mut back) = (Vec::new(), Vec::new());
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("message", size), |bencher| {
            bencher.iter(|| {
                wire.clear();
                assert!(client.send(NOW, black_box(&message), &mut wire));
                server.receive(NOW, &wire, &mut back);
                match server.poll_event() {
                    Some(Event::Message(came)) => assert_eq!(came.len(), size),
                    other => panic!("no message but {other:?}"),
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
