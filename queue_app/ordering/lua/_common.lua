-- Shared by every script: the keys, and the rules that keep `heads` correct.
-- An entry is "organization:priority:request". All keys carry the hash tag {aiq}, so a cluster keeps them on one node,
-- which KEYS[1] names.
-- A lane contains an organization's ready requests for one priority and model; its name is "rank:provider/model".
local P = '{aiq}:'
local HEADS, DELAYED, CLAIMS = P .. 'heads', P .. 'delayed', P .. 'claims'
local INFLIGHT, DEPTH, POLICY, PAUSED = P .. 'inflight', P .. 'depth', P .. 'policy', P .. 'paused'
local SERVED, LANE_OF, HELD = P .. 'served', P .. 'lane_of', P .. 'held'
local LIMITS, UNSENT, FULL = P .. 'limits', P .. 'unsent', P .. 'full'
-- Ranks sort by name: among lanes with equal scores the higher priority comes first.
local RANKS = {['1000'] = '1', ['500'] = '2', ['100'] = '3', ['10'] = '4'}
local PRIORITIES = {['1'] = '1000', ['2'] = '500', ['3'] = '100', ['4'] = '10'}
local LANES_READ, ORGS_UNBLOCKED = 16, 64
-- A minute and one second: the time that a call takes to reach the provider varies.
local WINDOW_S = 61

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1000000
end

local function lane(org, name) return P .. 'lane:' .. org .. ':' .. name end

-- The organization's non-empty lanes, by their best score.
local function lanes(org) return P .. 'lanes:' .. org end

-- The calls that count against a limit: sent ones by their time, claimed but unsent ones at +inf.
local function calls(limit) return P .. 'calls:' .. limit end

-- The organizations with work to start once the limit has room, by that score.
local function blocked(limit) return P .. 'blocked:' .. limit end

-- Exists while a client waits for the request's turn, to make the call itself: '', then the claim that was handed over.
local function turn_of(request) return P .. 'turn:' .. request end

local function parts(entry) return string.match(entry, '^(%d+):(%d+):(.+)$') end

-- weight, limit of requests in flight (0: none); the third, how many may wait, is read by intake
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

local function count_held(org, by)
  redis.call('HINCRBY', HELD, 'all', by)
  if redis.call('HINCRBY', HELD, org, by) <= 0 then redis.call('HDEL', HELD, org) end
end

local known_limits
local function limits()
  if not known_limits then
    known_limits = {}
    local rows = redis.call('HGETALL', LIMITS)
    for i = 1, #rows, 2 do known_limits[rows[i]] = tonumber(rows[i + 1]) or rows[i + 1] end
  end
  return known_limits
end

-- The limit that a model's calls count against: its own, else that of the model it is an alias of, else the one that the
-- provider's other models share. A model whose own limit is 0 has none.
local function limit_of(model)
  local known = limits()
  if type(known[model]) == 'string' then model = known[model] end
  if known[model] then return known[model] > 0 and model or nil end
  local provider = string.match(model, '^[^/]*/')
  return (known[provider] or 0) > 0 and provider or nil
end

-- How many more calls may be claimed now.
local rooms = {}
local function room(limit)
  if not rooms[limit] then
    local most = limits()[limit] or 0
    local since = string.format('(%.6f', now() - WINDOW_S)
    rooms[limit] = most == 0 and math.huge or most - redis.call('ZCOUNT', calls(limit), since, '+inf')
  end
  return rooms[limit]
end

local function reserve(limit, entry)
  redis.call('ZREMRANGEBYSCORE', calls(limit), '-inf', string.format('%.6f', now() - WINDOW_S))
  if redis.call('ZADD', calls(limit), '+inf', entry) == 1 then rooms[limit] = room(limit) - 1 end
  redis.call('HSET', UNSENT, entry, limit)
end

-- Returns the place reserved for a call that was not sent.
local function free(entry)
  local limit = redis.call('HGET', UNSENT, entry)
  if not limit then return end
  redis.call('HDEL', UNSENT, entry)
  redis.call('ZREM', calls(limit), entry)
  rooms[limit] = nil
end

-- Score, name and limit of the organization's best lane that may start a request; nil if there is none.
-- Adds the organization to the waiters of each full limit that comes before it.
local function head(org)
  local _, cap = policy(org)
  if cap > 0 and tonumber(redis.call('HGET', INFLIGHT, org) or '0') >= cap then return nil end
  local from, seen = 0, {}
  while true do
    local found = redis.call('ZRANGE', lanes(org), from, from + LANES_READ - 1, 'WITHSCORES')
    for i = 1, #found, 2 do
      local rank, model = string.match(found[i], '^(%d):(.+)$')
      if redis.call('SISMEMBER', PAUSED, org .. ':' .. PRIORITIES[rank]) == 0 then
        local limit = limit_of(model)
        if not limit or room(limit) > 0 then return found[i + 1], found[i], limit end
        if not seen[limit] then
          seen[limit] = true
          redis.call('ZADD', blocked(limit), found[i + 1], org)
          redis.call('SADD', FULL, limit)
        end
      end
    end
    if #found < 2 * LANES_READ then return nil end
    from = from + LANES_READ
  end
end

-- An organization that has nothing to start, is paused or is at its limit leaves `heads`: it cannot block the others.
-- A limit that fills up later is noticed at the organization's next turn, so a score in `heads` may be too good, but is
-- never too bad.
local function refresh(org)
  local best = head(org)
  if best then
    redis.call('ZADD', HEADS, best, org)
  else
    redis.call('ZREM', HEADS, org)
  end
end

local function unblock()
  for _, limit in ipairs(redis.call('SMEMBERS', FULL)) do
    if room(limit) > 0 then
      local waiting = redis.call('ZPOPMIN', blocked(limit), ORGS_UNBLOCKED)
      redis.call('SREM', FULL, limit)
      if redis.call('ZCARD', blocked(limit)) > 0 then redis.call('SADD', FULL, limit) end
      for i = 1, #waiting, 2 do refresh(waiting[i]) end
    end
  end
end

local function rescore(org, name)
  local first = redis.call('ZRANGE', lane(org, name), 0, 0, 'WITHSCORES')
  if first[1] then
    redis.call('ZADD', lanes(org), first[2], name)
  else
    redis.call('ZREM', lanes(org), name)
  end
end

local function take_out(org, priority, request, name)
  if redis.call('ZREM', lane(org, name), request) == 0 then return false end
  redis.call('HDEL', LANE_OF, table.concat({org, priority, request}, ':'))
  count_depth(org, priority, -1)
  rescore(org, name)
  return true
end

-- A request is in one lane only: adding it with another model moves it.
local function make_ready(org, priority, request, score, model)
  local entry, name = table.concat({org, priority, request}, ':'), RANKS[priority] .. ':' .. model
  local before = redis.call('HGET', LANE_OF, entry)
  if before and before ~= name then take_out(org, priority, request, before) end
  if redis.call('ZADD', lane(org, name), 'NX', score, request) == 1 then
    redis.call('HSET', LANE_OF, entry, name)
    count_depth(org, priority, 1)
    rescore(org, name)
  end
end

-- Delayed members carry their score and model: "organization:priority:request:score:provider/model".
local function promote(at)
  local due = redis.call('ZRANGEBYSCORE', DELAYED, '-inf', string.format('%.6f', at), 'LIMIT', 0, 200)
  for _, member in ipairs(due) do
    local org, priority, request, score, model = string.match(member, '^(%d+):(%d+):([^:]+):([%d.-]+):(.+)$')
    redis.call('ZREM', DELAYED, member)
    count_held(org, -1)
    make_ready(org, priority, request, score, model)
    refresh(org)
  end
end

-- Counts a request as in flight, and its call against a limit (nil: none).
local function begin(org, entry, limit, at)
  redis.call('HSET', SERVED, org, string.format('%.6f', at))
  if redis.call('ZADD', CLAIMS, string.format('%.6f', at), entry) == 1 then redis.call('HINCRBY', INFLIGHT, org, 1) end
  if limit then reserve(limit, entry) end
  refresh(org)
end
