"""A classic peer that reads as p2p_encryption.py does: one recv(112) a frame.

    peer.py listen         waits on a free port, which it prints on stderr
    peer.py PORT           connects

Sends what stdin gives, frames of any length with two bytes of length ahead of
each, and shuts down writing. Prints the frames it receives. A short read, or a
tag that does not hold, is what the old program dies of: so does this one. Only
the standard library is needed, so what is inside the frames is for the caller.
"""

import hashlib
import hmac
import os
import socket
import sys
import threading

KEY = hashlib.sha256(
    os.environ["SEALWIRE_CONFKEY"].encode() + os.environ["SEALWIRE_AUTHKEY"].encode()
).digest()


def holds(covered, tag):
    return hmac.compare_digest(hmac.new(KEY, covered, hashlib.sha256).digest(), tag)


def connected(where):
    if where != "listen":
        return socket.create_connection(("127.0.0.1", int(where)))
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
    return listener.accept()[0]


def send(peer):
    while head := sys.stdin.buffer.read(2):
        peer.sendall(sys.stdin.buffer.read(int.from_bytes(head, "big")))
    peer.shutdown(socket.SHUT_WR)


def receive(peer):
    count = 0
    while frame := peer.recv(112):
        if len(frame) != 112:
            return f"a short read after {count} frames: {len(frame)} bytes"
        if not holds(frame[:32], frame[32:64]) or not holds(frame[64:80], frame[80:]):
            return f"a tag does not hold after {count} frames"
        sys.stdout.buffer.write(frame)
        count += 1
    return None


peer = connected(sys.argv[1])
threading.Thread(target=send, args=[peer], daemon=True).start()
failure = receive(peer)
sys.stdout.buffer.flush()
if failure:
    print(failure, file=sys.stderr, flush=True)
# At once: the other thread may wait for stdin.
os._exit(1 if failure else 0)
