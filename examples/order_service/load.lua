-- The orders wrk asks for, one after another, and its result as one JSON line.
-- Arguments after "--": the first order's number, and how many there are.

local first, count, asked = 0, 1, 0

function init(args)
  first, count = tonumber(args[1]), tonumber(args[2])
end

function request()
  local order = first + asked % count
  asked = asked + 1
  return wrk.format("GET", wrk.path .. "?id=" .. order)
end

function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '{"requests": %d, "failed": %d, "seconds": %.6f, "mean": %.6f, "p99": %.6f, "max": %.6f}\n',
    summary.requests - errors.status, failed, summary.duration / 1e6,
    latency.mean / 1e6, latency:percentile(99) / 1e6, latency.max / 1e6))
end
