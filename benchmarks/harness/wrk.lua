-- The result of wrk as one JSON line.
--
-- With the argument "cycles", the rate is counted from the moment every connection
-- can have been answered once to the last answer: a body of 0.1 s is answered in
-- bursts, and the part of one that the end cuts off must not count as time.

local ffi = require("ffi")
ffi.cdef[[
  typedef struct { long sec; long nsec; } bench_time;
  int clock_gettime(int, bench_time *);
]]

local threads = {}
answers, first, last = 0, 0, 0 -- read from `done`, so global
local now = ffi.new("bench_time")

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  if args[1] ~= "cycles" then return end
  local connections = tonumber(args[2])
  response = function()
    ffi.C.clock_gettime(1, now)
    last = tonumber(now.sec) + tonumber(now.nsec) / 1e9
    answers = answers + 1
    if answers == connections then first = last end
  end
end

function done(summary, latency)
  local thread, errors = threads[1], summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "mean": %.6f, "p50": %.6f, "p99": %.6f,' ..
    ' "answers": %d, "cycles_seconds": %.6f, "errors":' ..
    ' {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
    summary.requests, summary.duration / 1e6,
    latency.mean / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    thread:get("answers"), thread:get("last") - thread:get("first"),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
