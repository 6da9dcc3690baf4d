-- The script of harness.bench.wrk: sends requests that were made before, in an order that was drawn before.
--   DKV_BENCH_TRAFFIC  in: "<count>\n", then count times "<length>\n<bytes>\n"; then the order, "<index>\n" each, from 0
--   DKV_BENCH_REPORT   out: what was counted, as JSON

local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

function init(_)
  local file = assert(io.open(os.getenv("DKV_BENCH_TRAFFIC"), "rb"))
  requests, order = {}, {}
  for i = 1, file:read("*n", "*l") do
    local length = file:read("*n", "*l")
    requests[i] = file:read(length)
  end
  while true do
    local index = file:read("*n", "*l")
    if not index then break end
    order[#order + 1] = index + 1
  end
  file:close()
  collectgarbage("collect")
  collectgarbage("stop") -- nothing is garbage: what goes out was made
  place, length = 0, #order
  cpu_before_s = os.clock()
end

function request()
  place = place + 1
  if place > length then place = 1 end
  return requests[order[place]]
end

function done(summary, latency, _)
  local cpu_s = os.clock() - threads[1]:get("cpu_before_s")
  local counts = {}
  for i = 1, #latency do
    local value, count = latency(i)
    counts[i] = string.format("[%d,%d]", value, count)
  end
  local errors = summary.errors
  local report = assert(io.open(os.getenv("DKV_BENCH_REPORT"), "w"))
  report:write(string.format(
    '{"requests":%d,"duration_us":%d,"cpu_s":%.6f,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,"latencies":[%s]}',
    summary.requests, summary.duration, cpu_s, errors.connect, errors.read, errors.write, errors.status, errors.timeout,
    table.concat(counts, ",")))
  report:close()
end
