-- KEYS[1] is the prefix of all keys of one organization. Times are Redis's own.
local P = KEYS[1]
local STATE = P .. 'state'
local LOG_LENGTH = 20000
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)

-- Microseconds, strictly increasing even if the clock was set back or Redis was emptied.
local function tick()
  local last = tonumber(redis.call('HGET', STATE, 'clock') or 0) or 0
  local stamp = string.format('%.0f', math.max(last + 1, now_us))
  redis.call('HSET', STATE, 'clock', stamp)
  return stamp
end

-- `n` counts without gaps, so a reader notices missing records. A stream that rejects a record, because someone else
-- wrote to it, is started over.
local function log(...)
  local n = redis.call('HINCRBY', STATE, 'logged', 1)
  local record = {P .. 'log', 'MAXLEN', '~', LOG_LENGTH, tick() .. '-0', 'n', n, ...}
  local reply = redis.pcall('XADD', unpack(record))
  if type(reply) == 'table' and reply.err then
    redis.call('DEL', P .. 'log')
    redis.call('XADD', unpack(record))
  end
end

local function place_of(id)
  local packed = redis.call('HGET', P .. 'places', id)
  return packed and cmsgpack.unpack(packed)
end

-- Whether it was not cleared since it was written: each tag stores the time of its last clearing.
local function is_newer_than_clearings(written, tags)
  local fields = {}
  for i, tag in ipairs(tags) do fields[i] = 'epoch:' .. tag end
  for _, epoch in ipairs(redis.call('HMGET', STATE, unpack(fields))) do
    if epoch and tonumber(epoch) >= written then return false end
  end
  return true
end

-- Whether an entry may be served; `partition` '' stands for any.
local function is_live(id, partition)
  local place = place_of(id)
  if not place then return false end
  local entry = redis.call('HMGET', P .. 'e:' .. id, 'partition', 'expires_ms', 'written')
  local expires, written = tonumber(entry[2] or nil), tonumber(entry[3] or nil)
  if not (expires and written) or expires <= now or entry[1] ~= place.partition then return false end
  if partition ~= '' and entry[1] ~= partition then return false end
  return is_newer_than_clearings(written, place.tags)
end

-- Removes an entry everywhere; returns 1 if it was still there, 0 if only its traces were.
local function forget(id)
  local place = place_of(id)
  if place then
    redis.call('HDEL', P .. 'v:' .. place.partition, id)
    if place.set then redis.pcall('VREM', P .. 's:' .. place.partition, id) end
    for _, tag in ipairs(place.tags) do redis.call('ZREM', P .. 't:' .. tag, id) end
  end
  redis.call('ZREM', P .. 'lru', id)
  redis.call('ZREM', P .. 'exp', id)
  redis.call('SREM', P .. 'bare', id)
  redis.call('HDEL', P .. 'places', id)
  return redis.call('DEL', P .. 'e:' .. id)
end

-- Returns how many of the entries were still there.
local function forget_and_log(ids)
  local removed, gone = 0, {}
  for _, id in ipairs(ids) do
    local place = place_of(id)
    if place then gone[#gone + 1] = place.partition .. ':' .. id end
    removed = removed + forget(id)
  end
  if #gone > 0 then log('gone', table.concat(gone, ' ')) end
  return removed
end

-- The expiry precedes each vector, because readers need it too. `full` is for a vector set, '' without one.
local function add_vector(id, place, vector, full, expires)
  local dated = struct.pack('<i8', tonumber(expires)) .. vector
  redis.call('HSET', P .. 'v:' .. place.partition, id, dated)
  redis.call('SREM', P .. 'bare', id)
  log('added', place.partition .. ':' .. id, 'vector', dated)
  if full ~= '' then
    place.set = true
    redis.call('HSET', P .. 'places', id, cmsgpack.pack(place))
    local attributes = '{"expires":' .. expires .. '}'
    redis.call('VADD', P .. 's:' .. place.partition, 'FP32', full, id, 'SETATTR', attributes)
  end
end
