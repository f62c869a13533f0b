-- ARGV: incarnation, id, partition, expiry, vector, full vector, by meaning, most entries, number of tags, tags,
-- and then fields and values. Returns whether the organization is listed.
local EVICTED_AT_ONCE = 50
local incarnation, id, partition, expires = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local vector, full, by_meaning, most, tag_count = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local key = P .. 'e:' .. id

-- Without its state the stream's last record may be ahead of the clock.
if redis.call('HSETNX', STATE, 'incarnation', incarnation) == 1 then redis.call('DEL', P .. 'log') end

local pinned = redis.call('HGET', key, 'pinned') == '1'
forget_and_log({id})

local function store()
  local written = tick()
  local place = {partition = partition, tags = {}, set = false}
  for i = 10, 9 + tag_count do place.tags[i - 9] = ARGV[i] end
  redis.call('HSET', key, 'written', written, 'stamp', written, 'hits', 0, unpack(ARGV, 10 + tag_count))
  if pinned then redis.call('HSET', key, 'pinned', 1) end
  redis.call('PEXPIREAT', key, expires)
  redis.call('HSET', P .. 'places', id, cmsgpack.pack(place))
  redis.call('ZADD', P .. 'exp', expires, id)
  for _, tag in ipairs(place.tags) do redis.call('ZADD', P .. 't:' .. tag, written, id) end
  if redis.call('HGET', key, 'pinned') ~= '1' then redis.call('ZADD', P .. 'lru', written, id) end
  return place
end

local function oldest(set, most_score)
  return redis.call('ZRANGEBYSCORE', P .. set, '-inf', most_score, 'LIMIT', 0, 1)[1]
end

local function evict()
  local excess = redis.call('ZCARD', P .. 'exp') - most
  for _ = 1, math.min(excess, EVICTED_AT_ONCE) do
    local victim = oldest('exp', now) or oldest('lru', '+inf')
    if not victim then break end
    forget_and_log({victim})
  end
end

if tonumber(expires) > now then
  local place = store()
  evict()
  if vector ~= '' and place_of(id) then
    add_vector(id, place, vector, full, expires)
  elseif by_meaning == '1' and place_of(id) then
    redis.call('SADD', P .. 'bare', id)
  end
end
return redis.call('HEXISTS', STATE, 'listed')
