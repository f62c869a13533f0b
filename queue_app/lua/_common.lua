-- Shared by every script: the keys, and the one rule that keeps `heads` true.
-- An entry is "organization:priority:request". All keys carry the hash tag {aiq}, so that a cluster keeps them together.
local P = '{aiq}:'
local HEADS, DELAYED, CLAIMS = P .. 'heads', P .. 'delayed', P .. 'claims'
local INFLIGHT, DEPTH, POLICY, PAUSED = P .. 'inflight', P .. 'depth', P .. 'policy', P .. 'paused'
local SERVED = P .. 'served'
local PRIORITIES = {'1000', '500', '100', '10'}

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1000000
end

local function lane(org, priority) return P .. 'lane:' .. org .. ':' .. priority end

local function parts(entry) return string.match(entry, '^(%d+):(%d+):(.+)$') end

-- weight, limit of requests in flight (0: none); the third figure, how many may wait, is for the door
local function policy(org)
  local weight, cap = string.match(redis.call('HGET', POLICY, org) or '1:0:0', '^(%d+):(%d+):')
  return tonumber(weight), tonumber(cap)
end

local function count_depth(org, priority, by)
  redis.call('HINCRBY', DEPTH, priority, by)
  if redis.call('HINCRBY', DEPTH, org .. ':' .. priority, by) <= 0 then
    redis.call('HDEL', DEPTH, org .. ':' .. priority)
  end
end

-- The best score of an organization's open lanes, and that lane; nil when it has nothing that may start.
local function head(org)
  local _, cap = policy(org)
  if cap > 0 and tonumber(redis.call('HGET', INFLIGHT, org) or '0') >= cap then return nil end
  local best, best_priority
  for _, priority in ipairs(PRIORITIES) do
    if redis.call('SISMEMBER', PAUSED, org .. ':' .. priority) == 0 then
      local first = redis.call('ZRANGE', lane(org, priority), 0, 0, 'WITHSCORES')
      if first[1] and (not best or tonumber(first[2]) < best) then
        best, best_priority = tonumber(first[2]), priority
      end
    end
  end
  return best, best_priority
end

-- An organization that has nothing to start, is paused or is at its limit leaves `heads`: it cannot block the others.
local function refresh(org)
  local best = head(org)
  if best then
    redis.call('ZADD', HEADS, string.format('%.6f', best), org)
  else
    redis.call('ZREM', HEADS, org)
  end
end

local function make_ready(org, priority, request, score)
  if redis.call('ZADD', lane(org, priority), 'NX', score, request) == 1 then count_depth(org, priority, 1) end
end

-- Delayed members carry their score: "organization:priority:request:score".
local function promote(at)
  local due = redis.call('ZRANGEBYSCORE', DELAYED, '-inf', string.format('%.6f', at), 'LIMIT', 0, 200)
  for _, member in ipairs(due) do
    local entry, score = string.match(member, '^(.+):([%d.-]+)$')
    local org, priority, request = parts(entry)
    redis.call('ZREM', DELAYED, member)
    make_ready(org, priority, request, score)
    refresh(org)
  end
end
