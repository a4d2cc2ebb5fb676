# SPDX-License-Identifier: BSD-3-Clause
"""The frames of each scenario, each with the reason that it is dropped for (None: for none, it is answered), and
captures of them. Whom they are for: `frames.aim`."""
import random
import struct

from frames import (ACK, ARP, RST, SYN, TABLE, UDP, Ends, arp, eth, ext, icmp4, ip4, near, tcp)

SOURCES = 4096
LINUX_OPTIONS = bytes([2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7])
FRAME_MIN = 60  # without FCS, as on a wire: some senders fill up what is shorter with anything


def anybody(dice):
    """An address of anybody's: neither loopback nor a group."""
    return bytes([dice.randint(20, 119)]) + dice.randbytes(3)


def segments(*flags, **options):
    """One from each source, with these flags in turn."""
    dice = random.Random(1)
    for i in range(SOURCES):
        src = anybody(dice)
        yield ip4(tcp(flags[i % len(flags)], src=src, sport=dice.randint(1024, 65535),
                      seq=dice.getrandbits(32), ack=dice.getrandbits(32), **options), src=src)


def syn():
    return [(frame, None) for frame in segments(SYN, options=LINUX_OPTIONS)]


def ack():
    return [(frame, "tcp_no_listener") for frame in segments(ACK)]


def rst():
    return [(frame, "tcp_no_listener") for frame in segments(RST, RST | ACK)]


def malformed():
    """Of the tests' table what does not depend on the frame's own end."""
    return [(make(), reason) for name, make, reason in TABLE
            if name not in ("vlan-cut", "arp-cut", "ip-cut", "ip6-cut")]


def fragments():
    """First, later, tiny and overlapping pieces of SYNs; 8 bytes: the flags are in the next one."""
    dice, found = random.Random(2), []
    for i in range(384):
        src, offset = anybody(dice), (0x2000, 0x2001, 1, 2, 0x1fff, 0x3fff)[i % 6]
        whole = tcp(SYN, src=src, options=LINUX_OPTIONS)
        found.append(ip4(whole[:8] if i % 4 == 0 else whole, src=src, fragment=offset))
        found.append(ext(44, struct.pack("!HI", offset << 3 & 0xffff | 1, i)))
    return [(frame, "ip_fragment") for frame in found]


def arps():
    """Who asks for us, and for others; who claims to be us."""
    found = []
    for host in list(range(20, 77)) + list(range(78, 250)):
        found += [(arp(sender=near(host)), None), (arp(sender=near(host), target=near(host + 1)), "arp_not_ours"),
                  (arp(op=2, sender=near(host), target=near(host + 1)), "arp_not_ours"),
                  (arp(sender=Ends.it4), "addr_conflict"),
                  (eth(ARP, b"\0" * 28), "arp_bad")]
    return found


def icmp():
    """Echo requests, some with a wrong checksum, redirects, and "too big" about what was never sent."""
    dice, found = random.Random(3), []
    for _ in range(256):
        quoted = ip4(tcp(src=Ends.it4, sport=80, dport=dice.randint(1024, 65535)), src=Ends.it4, dst=anybody(dice))
        found += [(icmp4(8, rest=dice.randbytes(40)), None),
                  (icmp4(8, rest=dice.randbytes(40), broken=1), "icmp_bad"),
                  (icmp4(5, rest=b"\0" * 32), "icmp_type"),
                  (icmp4(3, 4, rest=struct.pack("!HH", 0, 1280) + quoted[14:42]), "icmp_bad_quote")]
    return found


def rx():
    """What costs the least to throw away: 64 bytes of UDP."""
    dice = random.Random(4)
    return [(ip4(dice.randbytes(4) + b"\0\x1a\0\0" + b"\0" * 18, UDP, src=anybody(dice)), "ip_protocol")
            for _ in range(SOURCES)]


SCENARIOS = {  # name: (frames, what it is)
    "syn": (syn, "SYNs with all options from 4096 sources"),
    "ack": (ack, "ACKs of nothing from 4096 sources"),
    "rst": (rst, "RSTs from 4096 sources"),
    "malformed": (malformed, "frames, IP, ICMP and TCP headers that are wrong in eighty ways"),
    "fragments": (fragments, "first, later, tiny and overlapping fragments, IPv4 and IPv6"),
    "arp": (arps, "ARP for us, for others, by others who claim to be us, and malformed"),
    "icmp": (icmp, "echo, wrong checksums, redirects, and \"too big\" about nothing"),
    "rx": (rx, "64 bytes of UDP: how many frames a second can be received and thrown away"),
}


def write_pcap(path, frames):
    """In this machine's byte order."""
    with open(path, "wb") as out:
        out.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i, frame in enumerate(frames):
            frame = frame.ljust(FRAME_MIN, b"\0")
            out.write(struct.pack("=IIII", i // 1000000, i % 1000000, len(frame), len(frame)) + frame)
