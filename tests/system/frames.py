# SPDX-License-Identifier: BSD-3-Clause
"""Frames by hand: good ones, and a table of malformed ones, each with the reason it is dropped for."""
import socket
import struct

from harness import V4, V6, checksum

IP4, IP6, ARP, VLAN = 0x0800, 0x86dd, 0x0806, 0x8100
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
SYN, ACK, RST, FIN, PSH, URG = 2, 16, 4, 1, 8, 32
MAC_ME = bytes.fromhex("02000000aa01")


class Ends:
    """From whom, and to whom. A frame that nobody aims elsewhere goes to tests' own addresses."""
    me4 = me6 = it4 = it6 = b""
    mac = b"\0" * 6


def near(host):
    """Another address of the target's network."""
    return Ends.it4[:3] + bytes([host])


def aim(mac, ip4=V4, ip6=V6):
    """The target of what is made from now on; `mac` as bytes."""
    Ends.mac = mac
    Ends.it4, Ends.it6 = socket.inet_aton(ip4), socket.inet_pton(socket.AF_INET6, ip6)
    Ends.me4, Ends.me6 = near(77), Ends.it6[:15] + b"\x77"


aim(Ends.mac)


def eth(kind, payload, dst=None, src=MAC_ME):
    return (dst or Ends.mac) + src + struct.pack("!H", kind) + payload


def ip4(payload, proto=TCP, src=None, dst=None, version=4, options=b"", total=None, ihl=None,
        fragment=0x4000, broken=0, mac=None):
    ihl = (20 + len(options)) // 4 if ihl is None else ihl
    total = 20 + len(options) + len(payload) if total is None else total

    def head(sum_):
        return struct.pack("!BBHHHBBH4s4s", version << 4 | ihl, 0, total, 1, fragment, 64, proto,
                           sum_, src or Ends.me4, dst or Ends.it4) + options
    return eth(IP4, head(checksum(head(0)) ^ broken) + payload, mac)


def ip6(payload, proto=TCP, src=None, dst=None, version=6, length=None, mac=None):
    return eth(IP6, struct.pack("!IHBB16s16s", version << 28,
                                len(payload) if length is None else length, proto, 64,
                                src or Ends.me6, dst or Ends.it6)
               + payload, mac)


def tcp(flags=ACK, sport=4000, dport=80, off=None, options=b"", data=b"", broken=0, src=None,
        dst=None, seq=1, ack=1):
    src, dst = src or Ends.me4, dst or Ends.it4
    off = (20 + len(options)) // 4 if off is None else off

    def segment(sum_):
        return struct.pack("!HHIIBBHHH", sport, dport, seq, ack, off << 4, flags, 1000, sum_, 0) \
            + options + data
    pseudo = src + dst + (struct.pack("!BBH", 0, TCP, len(segment(0))) if len(src) == 4 else
                          struct.pack("!IHBB", len(segment(0)), 0, 0, TCP))
    return segment(checksum(pseudo + segment(0)) ^ broken)


def tcp6(**options):
    return tcp(src=Ends.me6, dst=Ends.it6, **options)


def icmp4(kind, code=0, rest=b"\0" * 4, broken=0):
    def message(sum_):
        return struct.pack("!BBH", kind, code, sum_) + rest
    return ip4(message(checksum(message(0)) ^ broken), ICMP)


def icmp6(kind, code=0, rest=b"\0" * 4, broken=0, src=None, dst=None, hops=64, mac=None):
    src, dst = src or Ends.me6, dst or Ends.it6

    def message(sum_):
        return struct.pack("!BBH", kind, code, sum_) + rest
    pseudo = src + dst + struct.pack("!II", len(message(0)), ICMP6)
    frame = ip6(message(checksum(pseudo + message(0)) ^ broken), ICMP6, src, dst, mac=mac)
    return frame[:21] + bytes([hops]) + frame[22:]


def arp(htype=1, ptype=IP4, hlen=6, plen=4, op=1, sha=MAC_ME, sender=None, target=None):
    return eth(ARP, struct.pack("!HHBBH", htype, ptype, hlen, plen, op) + sha + (sender or Ends.me4)
               + b"\0" * 6 + (target or Ends.it4), b"\xff" * 6)


def neighbour(target=None, options=b"", hops=255, **more):
    return icmp6(135, rest=b"\0" * 4 + (target or Ends.it6) + options, hops=hops, **more)


def ext(kind, body=b"\1\4\0\0\0\0", length=0, after=TCP):
    return ip6(bytes([after, length]) + body + tcp6(), kind)


LOCAL = socket.inet_aton("127.0.0.1")
GROUP6 = socket.inet_pton(socket.AF_INET6, "ff02::1")

TABLE = [  # name, frame (made when the target is known), reason
    ("vlan-cut", lambda: eth(VLAN, b"\0"), "eth_short"),
    ("vlan-not-ours", lambda: eth(VLAN, struct.pack("!HH", 5, IP4) + b"\0" * 40), "eth_vlan"),
    ("mac-not-ours", lambda: eth(IP4, b"\0" * 40, bytes.fromhex("020000000099")), "eth_not_ours"),
    ("mac-source-multicast", lambda: eth(IP4, b"\0" * 40, src=b"\1" + MAC_ME[1:]),
     "eth_bad_source"),
    ("mac-source-zero", lambda: eth(IP4, b"\0" * 40, src=b"\0" * 6), "eth_bad_source"),
    ("lldp", lambda: eth(0x88cc, b"\0" * 40), "eth_type"),
    ("length-for-type", lambda: eth(100, b"\0" * 100), "eth_type"),
    ("vlan-in-vlan", lambda: eth(VLAN, struct.pack("!HH", 0, VLAN) + b"\0" * 40), "eth_type"),
    ("arp-cut", lambda: arp()[:30], "arp_bad"),
    ("arp-hardware", lambda: arp(htype=6), "arp_bad"),
    ("arp-protocol", lambda: arp(ptype=IP6), "arp_bad"),
    ("arp-lengths", lambda: arp(hlen=8), "arp_bad"),
    ("arp-operation", lambda: arp(op=9), "arp_bad"),
    ("arp-sender-multicast", lambda: arp(sha=b"\xff" * 6), "arp_bad"),
    ("arp-other", lambda: arp(target=near(99)), "arp_not_ours"),
    ("arp-unasked-reply", lambda: arp(op=2), "arp_not_ours"),
    ("ip-cut", lambda: eth(IP4, b"\x45" + b"\0" * 10), "ip_bad_header"),
    ("ip-version", lambda: ip4(tcp(), version=5), "ip_bad_header"),
    ("ip-ihl-small", lambda: ip4(tcp(), ihl=4), "ip_bad_header"),
    ("ip-ihl-beyond-packet", lambda: ip4(tcp(), ihl=15, total=44), "ip_bad_header"),
    ("ip-total-beyond-frame", lambda: ip4(tcp(), total=2000), "ip_bad_header"),
    ("ip-total-below-header", lambda: ip4(tcp(), total=10), "ip_bad_header"),
    ("ip-checksum", lambda: ip4(tcp(), broken=1), "ip_bad_checksum"),
    ("ip-first-fragment", lambda: ip4(tcp(), fragment=0x2000), "ip_fragment"),
    ("ip-later-fragment", lambda: ip4(tcp(), fragment=100), "ip_fragment"),
    ("ip-other", lambda: ip4(tcp(), dst=near(99)), "ip_not_ours"),
    ("ip-ours-by-broadcast-frame", lambda: ip4(tcp(), mac=b"\xff" * 6), "ip_not_ours"),
    ("ip-source-loopback", lambda: ip4(tcp(), src=LOCAL), "ip_bad_source"),
    ("ip-source-multicast", lambda: ip4(tcp(), src=b"\xe0\0\0\1"), "ip_bad_source"),
    ("ip-source-broadcast", lambda: ip4(tcp(), src=b"\xff" * 4), "ip_bad_source"),
    ("ip-source-net-broadcast", lambda: ip4(tcp(), src=near(255)), "ip_bad_source"),
    ("ip-source-zero", lambda: ip4(tcp(), src=b"\0" * 4), "ip_bad_source"),
    ("ip-source-ours", lambda: ip4(tcp(src=Ends.it4), src=Ends.it4), "ip_bad_source"),
    ("ip-loose-source-route", lambda: ip4(tcp(), options=b"\x83\7\4\x7f\0\0\1\0"), "ip_options"),
    ("ip-strict-source-route", lambda: ip4(tcp(), options=b"\x89\7\4\x7f\0\0\1\0"), "ip_options"),
    ("ip-option-length-0", lambda: ip4(tcp(), options=b"\7\0\0\0"), "ip_bad_header"),
    ("ip-option-beyond-header", lambda: ip4(tcp(), options=b"\7\x20\0\0"), "ip_bad_header"),
    ("udp", lambda: ip4(b"\0\x35\0\x35\0\x08\0\0", UDP), "ip_protocol"),
    ("sctp", lambda: ip4(b"\0" * 12, 132), "ip_protocol"),
    ("icmp-cut", lambda: ip4(b"\x08\0", ICMP), "icmp_bad"),
    ("icmp-checksum", lambda: icmp4(8, broken=1), "icmp_bad"),
    ("icmp-echo-code", lambda: icmp4(8, code=3), "icmp_bad"),
    ("icmp-redirect", lambda: icmp4(5, rest=b"\0" * 32), "icmp_type"),
    ("icmp-unasked-reply", lambda: icmp4(0), "icmp_type"),
    ("ip6-cut", lambda: eth(IP6, b"\x60" + b"\0" * 20), "ip_bad_header"),
    ("ip6-version", lambda: ip6(tcp6(), version=4), "ip_bad_header"),
    ("ip6-length-beyond-frame", lambda: ip6(tcp6(), length=900), "ip_bad_header"),
    ("ip6-other", lambda: ip6(tcp6(), dst=Ends.me6), "ip_not_ours"),
    ("ip6-source-multicast", lambda: ip6(tcp6(), src=GROUP6), "ip_bad_source"),
    ("ip6-source-loopback", lambda: ip6(tcp6(), src=b"\0" * 15 + b"\1"), "ip_bad_source"),
    ("ip6-source-mapped", lambda: ip6(tcp6(), src=b"\0" * 10 + b"\xff\xff" + Ends.me4),
     "ip_bad_source"),
    ("ip6-source-ours", lambda: ip6(tcp6(), src=Ends.it6), "ip_bad_source"),
    ("ip6-fragment", lambda: ext(44, b"\0\1" + b"\0" * 4), "ip_fragment"),  # M: more follow
    ("ip6-routing", lambda: ext(43, b"\0\1" + b"\0" * 4), "ip_options"),  # one segment left
    ("ip6-hop-by-hop-cut", lambda: ip6(b"\6\0", 0), "ip_bad_header"),
    ("ip6-option-unknown", lambda: ext(60, b"\xc2\4\0\0\0\0"), "ip_options"),
    ("ip6-option-beyond-header", lambda: ext(60, b"\1\x20\0\0\0\0"), "ip_options"),
    ("ip6-extension-beyond-packet", lambda: ext(60, length=99), "ip_bad_header"),
    ("ip6-udp", lambda: ip6(b"\0\x35\0\x35\0\x08\0\0", UDP), "ip_protocol"),
    ("tcp-to-a-group", lambda: ip6(tcp(src=Ends.me6, dst=GROUP6), dst=GROUP6,
                                   mac=bytes.fromhex("333300000001")), "ip_not_ours"),
    ("icmp6-checksum", lambda: icmp6(128, broken=1), "icmp_bad"),
    ("icmp6-echo-code", lambda: icmp6(128, code=1), "icmp_bad"),
    ("icmp6-router-advertisement", lambda: icmp6(134, rest=b"\0" * 12, hops=255), "icmp_type"),
    ("ns-routed", lambda: neighbour(hops=64), "icmp_bad"),
    ("ns-cut", lambda: icmp6(135, rest=b"\0" * 8, hops=255), "icmp_bad"),
    ("ns-target-multicast", lambda: neighbour(GROUP6), "icmp_bad"),
    ("ns-option-length-0", lambda: neighbour(options=b"\1\0" + MAC_ME), "icmp_bad"),
    ("ns-option-beyond-packet", lambda: neighbour(options=b"\1\4" + MAC_ME), "icmp_bad"),
    ("tcp-cut", lambda: ip4(tcp()[:12]), "tcp_bad_header"),
    ("tcp-offset-small", lambda: ip4(tcp(off=4)), "tcp_bad_header"),
    ("tcp-offset-beyond-segment", lambda: ip4(tcp(off=15)), "tcp_bad_header"),
    ("tcp-source-port-0", lambda: ip4(tcp(sport=0)), "tcp_bad_port"),
    ("tcp-port-0", lambda: ip4(tcp(dport=0)), "tcp_bad_port"),
    ("tcp-checksum", lambda: ip4(tcp(broken=1)), "tcp_bad_checksum"),
    ("tcp6-checksum", lambda: ip6(tcp6(broken=1)), "tcp_bad_checksum"),
    ("tcp-no-flags", lambda: ip4(tcp(0)), "tcp_bad_flags"),
    ("tcp-syn-fin", lambda: ip4(tcp(SYN | FIN)), "tcp_bad_flags"),
    ("tcp-syn-rst", lambda: ip4(tcp(SYN | RST)), "tcp_bad_flags"),
    ("tcp-xmas", lambda: ip4(tcp(FIN | PSH | URG)), "tcp_bad_flags"),
    ("tcp-option-length-0", lambda: ip4(tcp(SYN, options=b"\x1e\0\0\0")), "tcp_bad_option"),
    ("tcp-option-beyond-header", lambda: ip4(tcp(SYN, options=b"\x1e\x28\0\0")),
     "tcp_bad_option"),
    ("tcp-mss-of-3", lambda: ip4(tcp(SYN, options=b"\2\3\5\0")), "tcp_bad_option"),
    ("tcp-no-listener", lambda: ip4(tcp(SYN, dport=81)), "tcp_no_listener"),
    ("tcp-stray-ack", lambda: ip4(tcp(ACK)), "tcp_no_listener"),
    ("tcp-stray-rst", lambda: ip4(tcp(RST)), "tcp_no_listener"),
]
