-- KEYS: an organization's history and its last figures. ARGV: channel, organization, events kept, seconds kept, then
-- (type, subject, data, "1" to publish only what differs from the last time) for each event.
-- History and channel see the same order, because nothing runs in between.
local published = 0
for i = 5, #ARGV, 4 do
  local kind, subject, data, if_changed = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local figure = kind .. ' ' .. subject
  if if_changed ~= '1' or redis.call('HGET', KEYS[2], figure) ~= data then
    if if_changed == '1' then
      redis.call('HSET', KEYS[2], figure, data)
      redis.call('EXPIRE', KEYS[2], ARGV[4])
    end
    local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'type', kind, 'subject', subject, 'data', data)
    redis.call('PUBLISH', ARGV[1], table.concat({ARGV[2], id, kind, subject, data}, ' '))
    published = published + 1
  end
end
if published > 0 then redis.call('EXPIRE', KEYS[1], ARGV[4]) end
return published
