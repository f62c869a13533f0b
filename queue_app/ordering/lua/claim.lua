-- ARGV: penalty in seconds for each request in flight, the age beyond which organizations count as equally old, and a
-- channel that announces turns.
-- Takes the best request; returns its entry, its model and the limit that its call counts against ('': none), or nil.
-- A request whose client waits for its turn is handed over to it, and the next best one is taken.
-- On a tie the organization served longest ago goes first. Considers the 64 organizations with the best heads: the
-- penalty reorders among them. A head that `heads` has wrong, because a limit filled up, is corrected and tried again.
local penalty, horizon, channel = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local at = now()
local MOST_TRIES = 128

local function rank(each, score)
  each.score = score
  each.key = math.max(tonumber(score), at - horizon) + each.penalty
end

local function candidates()
  local heads, found = redis.call('ZRANGE', HEADS, 0, 63, 'WITHSCORES'), {}
  for i = 1, #heads, 2 do
    local org = heads[i]
    local weight = policy(org)
    local each = {org = org, served = tonumber(redis.call('HGET', SERVED, org) or '0')}
    each.penalty = penalty * tonumber(redis.call('HGET', INFLIGHT, org) or '0') / weight
    rank(each, heads[i + 1])
    found[#found + 1] = each
  end
  return found
end

local function best_of(found)
  local best
  for i, each in ipairs(found) do
    local other = best and found[best]
    if not other or each.key < other.key or (each.key == other.key and each.served < other.served) then best = i end
  end
  return best
end

local function take(org, name, limit)
  local priority, model = PRIORITIES[string.sub(name, 1, 1)], string.sub(name, 3)
  local request = redis.call('ZPOPMIN', lane(org, name))[1]
  local entry = table.concat({org, priority, request}, ':')
  redis.call('HDEL', LANE_OF, entry)
  count_depth(org, priority, -1)
  rescore(org, name)
  begin(org, entry, limit, at)
  return {entry, model, limit or ''}
end

local function hand_over(claimed)
  local org, _, request = parts(claimed[1])
  local turn = turn_of(request)
  if redis.call('GET', turn) ~= '' then return false end
  redis.call('APPEND', turn, cjson.encode(claimed)) -- which keeps the time to live
  redis.call('PUBLISH', channel, table.concat({org, '0-0', 'turn', request, ''}, ' '))
  return true
end

promote(at)
unblock()
local found = candidates()
for _ = 1, MOST_TRIES do
  if #found == 0 then found = candidates() end
  local i = best_of(found)
  if not i then return nil end
  local org = found[i].org
  local score, name, limit = head(org)
  if score == found[i].score then
    local claimed = take(org, name, limit)
    if not hand_over(claimed) then return claimed end
    found = {}
  elseif score then
    redis.call('ZADD', HEADS, score, org)
    rank(found[i], score)
  else
    redis.call('ZREM', HEADS, org)
    table.remove(found, i)
  end
end
return nil
