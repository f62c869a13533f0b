-- Takes from token buckets, all or none, and joins sets of requests in progress.
--
-- KEYS: the buckets, then the sets, then what is only read. ARGV: the number of buckets, the number of sets, the member
-- that joins the sets, how many milliseconds it may stay in them, then for each bucket its capacity per minute and the
-- cost, and for each set its maximum. Returns the position of the limit that refused (0: none), the milliseconds until
-- it would not, what was read, and what is left of each limit.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local buckets, sets = tonumber(ARGV[1]), tonumber(ARGV[2])
local levels, left = {}, {}
local refused, wait = 0, 0

for i = 1, buckets do
  local capacity, cost = tonumber(ARGV[2 * i + 3]), tonumber(ARGV[2 * i + 4])
  local level = capacity
  local stored = redis.call('GET', KEYS[i])
  if stored then
    local split = string.find(stored, ':', 1, true)
    local before, at = tonumber(string.sub(stored, 1, split - 1)), tonumber(string.sub(stored, split + 1))
    level = math.min(capacity, before + math.max(0, now - at) * capacity / 60000)
  end
  -- What costs more than a full bucket may empty it.
  local missing = math.min(cost, capacity) - level
  if missing > 0 and missing * 60000 / capacity > wait then
    refused, wait = i, math.ceil(missing * 60000 / capacity)
  end
  levels[i] = level
end

for i = buckets + 1, buckets + sets do
  local most = tonumber(ARGV[buckets + i + 4])
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  left[i] = most - redis.call('ZCARD', KEYS[i])
  if left[i] <= 0 and wait < 1000 then
    refused, wait = i, 1000
  end
end

for i = 1, buckets do
  local capacity, cost = tonumber(ARGV[2 * i + 3]), tonumber(ARGV[2 * i + 4])
  if refused == 0 then
    levels[i] = levels[i] - cost
    redis.call('SET', KEYS[i], string.format('%.3f:%d', levels[i], now), 'PX', 61000 + math.ceil(math.max(0, -levels[i]) * 60000 / capacity))
  end
  left[i] = math.max(0, math.floor(levels[i]))
end
for i = buckets + 1, buckets + sets do
  if refused == 0 then
    redis.call('ZADD', KEYS[i], now + tonumber(ARGV[4]), ARGV[3])
    redis.call('PEXPIRE', KEYS[i], ARGV[4])
    left[i] = left[i] - 1
  end
end

local read = {}
for i = buckets + sets + 1, #KEYS do read[#read + 1] = redis.call('GET', KEYS[i]) end
return {refused, wait, read, unpack(left)}
