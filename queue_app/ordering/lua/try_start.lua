-- ARGV: entry, model, score. Starts a request that never enters the index, if a claim would take it now. Returns the
-- limit that its call counts against ('': none), '-' if it has to wait its turn, and nil while the index is incomplete.
-- It waits where its priority is paused, its organization or its limit is full, or someone else waits for that limit,
-- and behind every ready request of its organization with a better score.
local entry, model, score = ARGV[1], ARGV[2], tonumber(ARGV[3])
local org, priority = parts(entry)
local at = now()
if not redis.call('GET', P .. 'complete') then return nil end
promote(at)
unblock()
local _, cap = policy(org)
if cap > 0 and tonumber(redis.call('HGET', INFLIGHT, org) or '0') >= cap then return '-' end
if redis.call('SISMEMBER', PAUSED, org .. ':' .. priority) == 1 then return '-' end
local limit = limit_of(model)
if limit and (room(limit) <= 0 or redis.call('ZCARD', blocked(limit)) > 0) then return '-' end
local best = head(org)
if best and tonumber(best) <= score then return '-' end
begin(org, entry, limit, at)
return limit or ''
