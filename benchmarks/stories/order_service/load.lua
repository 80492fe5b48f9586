-- The orders wrk asks for, and its result as one JSON line: nine times out of ten one
-- of a few that everybody looks at, else the next one of all.
-- Arguments after "--": the first order's number, how many there are, how many are popular.

local first, count, popular, asked = 0, 1, 1, 0

function init(args)
  first, count, popular = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
end

function request()
  local order = first + asked % popular
  if asked % 10 == 9 then
    order = first + math.floor(asked / 10) % count
  end
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
