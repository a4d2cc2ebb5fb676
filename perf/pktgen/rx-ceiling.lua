-- SPDX-License-Identifier: BSD-3-Clause
-- pktgen ... -s 0:rx.pcap -f rx-ceiling.lua: a tenth of the port's speed, two tenths, ... all of it, PKTGEN_SECONDS
-- (5) each. The receiver says how much of it arrived: `holdfastctl stats -w 'rx_*'`, and `holdfastctl drops`.

local seconds = tonumber(os.getenv("PKTGEN_SECONDS") or "5")

pktgen.set("0", "count", 0)
pktgen.delay(2000) -- the link
for rate = 10, 100, 10 do
	pktgen.set("0", "rate", rate)
	pktgen.start("0")
	pktgen.delay(math.floor(seconds * 1000))
	pktgen.stop("0")
	pktgen.delay(1500) -- a gap that is seen at the other end
end
pktgen.quit()
