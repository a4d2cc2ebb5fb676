/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Every attack: X(name, function, hears, help). hears: it takes what comes back.
 */
/* clang-format off */
X(synflood,    flood_syn,         false, "SYNs with all options from random sources")
X(ackflood,    flood_ack,         false, "ACKs of nothing from random sources")
X(rstflood,    flood_rst,         false, "RSTs from random sources")
X(blind,       flood_blind,       false, "RST, SYN and data into the connection --src --sport --seq --ack, random and in-window")
X(land,        flood_land,        false, "SYNs from the victim to itself")
X(fragments,   flood_fragments,   false, "First, later, tiny and overlapping fragments")
X(options,     flood_options,     false, "SYNs and ACKs whose options lie")
X(flags,       flood_flags,       false, "Xmas, null and every other combination of flags")
X(badsum,      flood_badsum,      false, "Wrong IP and TCP checksums")
X(icmp,        flood_icmp,        false, "ICMP 'too big' about the connection --src --sport at random --seq")
X(replay,      flood_replay,      false, "The frames of --pcap, as they are, over and over")
X(open,        sender_open,       true,  "Opens --count connections and holds them; commands on stdin")
X(cookiecheck, sender_cookies,    true,  "Fills the SYN queue, then opens --count connections and forges as many")
X(tinysegs,    sender_tiny,       true,  "Requests in segments of a byte")
X(holes,       sender_holes,      true,  "Request bytes with thousands of holes")
X(lies,        sender_lies,       true,  "Options that lie, on open connections")
X(mss0,        sender_mss0,       true,  "Announces an MSS of 0")
X(mss1,        sender_mss1,       true,  "Announces an MSS of 1")
X(sockstress,  reader_zero,       true,  "Requests, then a window of 0 for ever")
X(slowread,    reader_one,        true,  "Requests, then a window of 1 byte")
X(noack,       reader_silent,     true,  "Requests with the largest window and acknowledges nothing")
X(ackdivision, reader_division,   true,  "Acknowledges every byte by itself")
X(optimistic,  reader_optimistic, true,  "Acknowledges what was not received, and what was not sent")
X(sackflood,   reader_sack,       true,  "Reports thousands of holes in what was sent")
X(deaf,        reader_deaf,       true,  "Loses a whole flight, and keeps nothing out of order")
X(narrow,      reader_narrow,     true,  "The same, after a right ICMP 'too big'")
X(fragneeded,  reader_too_big,    true,  "ICMP 'too big' with right and wrong sequence numbers")
/* clang-format on */
