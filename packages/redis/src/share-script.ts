import { script, setTtlMs, timeLua } from "./scripts.ts";

/**
 * A shard's shares are a hash: e, w the number of the last rebalance and whose it was, a when that was; of places
 * in flight p, of a rate's burst b; counted since then x refused places, m messages let through, y refused ones;
 * and the same of late, each rebalance adding to what fades: X, M.
 */

/**
 * Asks for the number of a rebalance, above all before it.
 * KEYS: who rebalances: e, a the last number and when, d the last that is over, c shards. ARGV: 1 now or '', 2 a
 * number that is taken, 3 how many shards, 4 'routine', 'missing' or 'wait', 5 ms between routine ones, 6 ms after
 * which one is taken for broken off, 7 and processes with another number of shards for gone, 8 number that was
 * claimed before for the same rebalance, or -1. Reply: number or 0, then 0 where another is under way.
 */
export const claimScript = script(`
local now = tonumber(ARGV[1])
${timeLua}
local found = redis.call('HMGET', KEYS[1], 'e', 'a', 'd', 'c')
local epoch, age = tonumber(found[1] or 0), now - tonumber(found[2] or 0)
-- A clock that was set back holds nobody up.
if age < 0 then age = math.huge end
local isDone = found[3] == found[1]
if epoch ~= tonumber(ARGV[8]) then
  if found[4] and found[4] ~= ARGV[3] and age < tonumber(ARGV[7]) then return {0, 1} end
  if ARGV[4] == 'wait' and isDone then return {0, 1} end
  if ARGV[4] == 'routine' and age < tonumber(ARGV[5]) then return {0, 1} end
  if not isDone and age < tonumber(ARGV[6]) then return {0, 0} end
end
epoch = math.max(epoch, tonumber(ARGV[2])) + 1
redis.call('HSET', KEYS[1], 'e', epoch, 'a', string.format('%.0f', now), 'c', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ${setTtlMs})
return {epoch, 0}
`);

/** Says that a rebalance is over: who waits for it need not wait longer. KEYS: as to claim. ARGV: its number. */
export const doneScript = script(`
if redis.call('HGET', KEYS[1], 'e') == ARGV[1] then redis.call('HSET', KEYS[1], 'd', ARGV[1]) end
return 1
`);

/** Sets `mine` to whether the shard was last fenced by this rebalance. */
const mineLua = `
local at = redis.call('HMGET', KEYS[1], 'e', 'w', 'p', 'b')
local epoch, mine = tonumber(at[1]), false
if epoch and epoch == tonumber(ARGV[2]) and at[2] == ARGV[3] then mine = true end`;

/**
 * Fences a shard: what an earlier rebalance still wants to write there is refused from now on. Of two with one
 * number, as after a loss of data, the first counts.
 * KEYS: 1 shares, 2 the set in flight. ARGV: 1 now or '', 2 number, 3 whose, 4 ms to keep, 5 ms in which a
 * count fades. Reply: its number, or 0 and the number that stands; then places or -1, in use, refused of late,
 * burst or -1, messages asked for of late.
 */
export const fenceScript = script(`
local now = tonumber(ARGV[1])
${timeLua}
${mineLua}
if epoch and epoch >= tonumber(ARGV[2]) and not mine then return {0, epoch} end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', math.floor(now))
local inUse = redis.call('ZCARD', KEYS[2])
local counted = redis.call('HMGET', KEYS[1], 'a', 'x', 'm', 'y', 'X', 'M')
local age = math.max(0, now - tonumber(counted[1] or now))
local fades = math.exp(-age / ARGV[5])
local refused = tonumber(counted[5] or 0) * fades + tonumber(counted[2] or 0)
local asked = tonumber(counted[6] or 0) * fades + tonumber(counted[3] or 0) + tonumber(counted[4] or 0)
redis.call('HSET', KEYS[1], 'e', ARGV[2], 'w', ARGV[3], 'a', string.format('%.3f', now), 'x', 0, 'm', 0, 'y', 0,
  'X', string.format('%.3f', refused), 'M', string.format('%.3f', asked))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {epoch and mine and epoch or tonumber(ARGV[2]), tonumber(at[3]) or -1, inUse, math.ceil(refused), tonumber(at[4]) or -1, math.ceil(asked)}
`);

/**
 * Lowers or raises the shares of a shard that this rebalance fenced last. Lowered is down to what is in use, and
 * what is not there yet is left so; raised is to what is given. A rate keeps its messages as `tatOfShare` of
 * @sluice/policy says, term by term; a new one begins with an equal part's. A second run changes nothing.
 * KEYS: 1 shares, 2 the set in flight, 3 the rate. ARGV: 1 now or '', 2 number, 3 whose, 4 'lower' or 'raise',
 * 5 places or '', 6 burst or '', 7 tolerance in ms, 8 messages that a new one begins with.
 * Reply: 1, or 0 where another has fenced it, or its data is gone; then places and burst, 0 where there is none.
 */
export const setSharesScript = script(`
local now = tonumber(ARGV[1])
${timeLua}
${mineLua}
if not mine then return {0} end
local isLower = ARGV[4] == 'lower'
local places, burst = tonumber(at[3]), tonumber(at[4])
local to = tonumber(ARGV[5])
if to and isLower then
  to = places and math.min(places, math.max(to, redis.call('ZCARD', KEYS[2])))
end
if to and to ~= places then
  redis.call('HSET', KEYS[1], 'p', to)
  places = to
end
to = tonumber(ARGV[6])
if to and isLower then to = burst and math.min(burst, to) end
if to and to ~= burst then
  local tolerance = tonumber(ARGV[7])
  local available = tonumber(ARGV[8])
  if burst then
    local left = tolerance - math.max(tonumber(redis.call('GET', KEYS[3]) or 0) - now, 0)
    available = math.max(left * burst / tolerance, -0.5)
  end
  available = math.min(available, to)
  local tat = now + tolerance - (to > 0 and available * tolerance / to or 0)
  redis.call('SET', KEYS[3], string.format('%.17g', tat), 'PX', math.ceil(2 * tolerance) + 1000)
  redis.call('HSET', KEYS[1], 'b', to)
  burst = to
end
return {1, places or 0, burst or 0}
`);
