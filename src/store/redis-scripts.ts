// What Redis does of its own: a step of rows and cursor, and a page of rows, each in one piece. No rule of any merge type is here (I13).
//
// A shard has three keys in one hash slot:
//   head   which step was the last one (redis.ts has its words)
//   rows   a hash, row key → bytes; its field '' repeats the head, so that a reply that has rows says which step they are of
//   index  a sorted set of the row keys, all with score 0: Redis orders those by bytes
// What is flushed, evicted or of another time shows: the head is not the mark of the rows, or the index has another number of members.

/** unpack() takes a few thousand values at most. Even, because rows come in pairs. */
const CHUNK = 4000;

/** KEYS head rows index; ARGV expected head, head afterwards, number of rows to set, those as pairs, row keys to delete.
 *  The head as it is then: the one afterwards if the step is made, or was made before by the same words; `lost` if the rows are not those of the
 *  expected head. */
export const STEP = `
local head = redis.call('GET', KEYS[1]) or ''
if head == ARGV[2] or head ~= ARGV[1] then return head end
if head == '' then
  redis.call('UNLINK', KEYS[2], KEYS[3])
elseif redis.call('HGET', KEYS[2], '') ~= head or redis.call('HLEN', KEYS[2]) ~= redis.call('ZCARD', KEYS[3]) + 1 then
  return 'lost'
end
local last = 3 + 2 * tonumber(ARGV[3])
for at = 4, last, ${CHUNK} do
  local to = math.min(at + ${CHUNK - 1}, last)
  if redis.call('HSET', KEYS[2], unpack(ARGV, at, to)) > 0 then
    local members = {}
    for i = at, to, 2 do
      members[#members + 1] = 0
      members[#members + 1] = ARGV[i]
    end
    redis.call('ZADD', KEYS[3], unpack(members))
  end
end
for at = last + 1, #ARGV, ${CHUNK} do
  local to = math.min(at + ${CHUNK - 1}, #ARGV)
  redis.call('HDEL', KEYS[2], unpack(ARGV, at, to))
  redis.call('ZREM', KEYS[3], unpack(ARGV, at, to))
end
redis.call('HSET', KEYS[2], '', ARGV[2])
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
`;

/** KEYS as above; ARGV first row key, the one behind the last, limit. Mark, whether rows and index have as many, row keys, values. */
export const SCAN = `
local mark = redis.call('HGET', KEYS[2], '') or ''
local same = redis.call('HLEN', KEYS[2]) == redis.call('ZCARD', KEYS[3]) + 1
local keys = redis.call('ZRANGEBYLEX', KEYS[3], '[' .. ARGV[1], '(' .. ARGV[2], 'LIMIT', 0, ARGV[3])
local values = {}
for at = 1, #keys, ${CHUNK} do
  for _, value in ipairs(redis.call('HMGET', KEYS[2], unpack(keys, at, math.min(at + ${CHUNK - 1}, #keys)))) do
    values[#values + 1] = value
  end
end
return { mark, same and 1 or 0, keys, values }
`;

/** KEYS as above. Head, and whether the rows are whole and of that head. */
export const LOOK = `
local head = redis.call('GET', KEYS[1]) or ''
local mark = redis.call('HGET', KEYS[2], '') or ''
local same = redis.call('HLEN', KEYS[2]) == redis.call('ZCARD', KEYS[3]) + 1
return { head, (head == '' or (head == mark and same)) and 1 or 0 }
`;

/** KEYS as above; ARGV expected head. The head as it was: all is dropped if it is the expected one. */
export const DROP = `
local head = redis.call('GET', KEYS[1]) or ''
if head == ARGV[1] then redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3]) end
return head
`;
