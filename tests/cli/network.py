"""A network in a namespace of its own that delays, loses and reorders packets.

    unshare -rn network.py SEED DELAY_MS LOSS REORDER

Packets to FAR come back to NEAR as if a machine at FAR had sent them, and the
other way round: a program that connects to FAR reaches one that listens on NEAR,
and neither notices that both are on one machine. The system's own TCP runs at
both ends. A packet is lost with the probability LOSS, is held up for DELAY_MS,
and with the probability REORDER for twice as long, so that later ones overtake.

It prints "ready", then obeys lines of stdin, each answered with the line itself:
"cut" loses every packet from then on, "mend" does so no more. It ends with stdin, and
then prints how many packets chance lost, and how many it held up for longer.
Only the standard library is needed, and /dev/net/tun. netem does the same where
the kernel has it; many kernels do not.
"""

import fcntl
import heapq
import os
import random
import select
import socket
import struct
import sys
import time

NEAR, FAR, MASK = "10.9.0.1", "10.9.0.2", "255.255.255.0"
DEVICE = b"far"
# From linux/if_tun.h, linux/sockios.h and linux/if.h.
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, IFF_UP = 0x8914, 0x8916, 0x891C, 1


def device():
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", DEVICE, IFF_TUN | IFF_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, address in [(SIOCSIFADDR, NEAR), (SIOCSIFNETMASK, MASK)]:
            family = struct.pack("HH", socket.AF_INET, 0) + socket.inet_aton(address)
            fcntl.ioctl(control, request, struct.pack("16s8s16x", DEVICE, family))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", DEVICE, IFF_UP))
    return tun


def mirrored(packet):
    """From the other address to this one: the checksums, which are sums, stay right."""
    return packet[:12] + packet[16:20] + packet[12:16] + packet[20:]


def main():
    seed, delay, loss, reorder = (float(arg) for arg in sys.argv[1:])
    chance = random.Random(seed)
    tun, cut, waiting = device(), False, []
    count = lost = overtaken = 0
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            try:
                os.write(tun, heapq.heappop(waiting)[2])
            except BlockingIOError:
                pass
        until = max(0, waiting[0][0] - now) if waiting else None
        readable, _, _ = select.select([tun, sys.stdin.buffer], [], [], until)
        if sys.stdin.buffer in readable:
            line = sys.stdin.buffer.raw.readline()
            if not line:
                return print(f"lost {lost}, overtaken {overtaken}")
            cut = line == b"cut\n"
            print(line.decode().strip(), flush=True)
        if tun in readable:
            packet = os.read(tun, 65536)
            # IPv6 says that it is there; nobody asked.
            if packet[0] >> 4 != 4 or cut:
                continue
            if chance.random() < loss:
                lost += 1
                continue
            late = chance.random() < reorder
            overtaken += late
            # The count keeps packets that are due at once in order.
            count += 1
            due = time.monotonic() + (1 + late) * delay / 1000
            heapq.heappush(waiting, (due, count, mirrored(packet)))


main()
