-- SPDX-License-Identifier: BSD-3-Clause
-- pktgen ... -s 0:syn.pcap -f flood.lua: sends the capture over and over, PKTGEN_SECONDS long, at PKTGEN_RATE percent
-- of the port's speed. Into the file PKTGEN_REPORT goes "started", and at the end "sent N" (frames).

local port = "0"
local seconds = tonumber(os.getenv("PKTGEN_SECONDS") or "10")
local report = io.open(os.getenv("PKTGEN_REPORT") or "/dev/stdout", "w")

-- Its form is not the same in all versions.
local function sent()
	local ok, stats = pcall(pktgen.portStats, port, "port")
	if not ok then
		stats = pktgen.portStats(port)
	end
	stats = stats[tonumber(port)]
	return (stats.curr or stats).opackets
end

local function tell(line)
	report:write(line .. "\n")
	report:flush()
end

pktgen.screen("off")
pktgen.set(port, "count", 0)
pktgen.set(port, "rate", tonumber(os.getenv("PKTGEN_RATE") or "100"))
pktgen.delay(2000) -- the link, and the first statistics
pktgen.clr()
pktgen.start(port)
tell("started")
pktgen.delay(math.floor(seconds * 1000))
pktgen.stop(port)
pktgen.delay(1500) -- they are read once a second
tell("sent " .. sent())
report:close()
pktgen.quit()
