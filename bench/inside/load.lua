-- For wrk: every answer's status is counted (wrk itself takes a redirect for a success), and all of it comes out as one line of JSON.
local threads = {}

function setup(thread)
	table.insert(threads, thread)
end

function init()
	counts = {}
end

function response(status)
	local key = tostring(status)

	counts[key] = (counts[key] or 0) + 1
end

function done(summary, latency)
	local statuses, parts = {}, {}

	for _, thread in ipairs(threads) do
		for status, n in pairs(thread:get("counts")) do
			statuses[status] = (statuses[status] or 0) + n
		end
	end
	for status, n in pairs(statuses) do
		table.insert(parts, string.format('"%s": %d', status, n))
	end
	io.write(string.format('JSON {"seconds": %f, "statuses": {%s}, "connect": %d, "read": %d, "write": %d, "timeout": %d, ' ..
		'"p50": %f, "p99": %f, "max": %f}\n', summary.duration / 1e6, table.concat(parts, ", "), summary.errors.connect,
		summary.errors.read, summary.errors.write, summary.errors.timeout, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
		latency.max / 1e6))
end
