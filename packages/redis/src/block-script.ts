import { script, timeLua } from "./scripts.ts";

/**
 * Sets how many places in flight a process holds, and takes messages of the rate for it. A process says how
 * many places it wants in all, so a second run changes nothing of them; one that comes after a later one is
 * ignored. Fewer than none: it holds no more. Fewer messages than none: so many were not used, and go back.
 *
 * KEYS: 1 the holders, 2 the rate. ARGV: 1 now or '', 2 process, 3 number of this call, 4 lease ms, 5 most
 * processes, 6 places wanted, 7 limit of places, 8 messages wanted, 9 emission ms, 10 burst.
 * A holder is "places due call". Reply: places held, messages granted, ms until the next message, places
 * left over.
 */
export const blockScript = script(`
local now = tonumber(ARGV[1])
${timeLua}
local me, call = ARGV[2], tonumber(ARGV[3])
local others, holders, mine, last = 0, 0, 0, -1
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local places, due, number = string.match(all[i + 1], '^(%S+) (%S+) (%S+)$')
  if all[i] == me then
    mine, last = tonumber(places), tonumber(number)
  elseif tonumber(due) <= now then
    redis.call('HDEL', KEYS[1], all[i])
  else
    others, holders = others + places, holders + 1
  end
end
if tonumber(ARGV[6]) < 0 then
  redis.call('HDEL', KEYS[1], me)
  return {0, 0, 1, 0}
end
if call <= last then return {mine, 0, 1, 0} end
if holders >= tonumber(ARGV[5]) then return {0, 0, 1000, 0} end
local room = math.max(0, tonumber(ARGV[7]) - others)
local held = math.min(tonumber(ARGV[6]), room)
local due = string.format('%.0f', math.ceil(now) + ARGV[4])
redis.call('HSET', KEYS[1], me, held .. ' ' .. due .. ' ' .. call)
redis.call('PEXPIRE', KEYS[1], ARGV[4] * 4)
local wanted, emission = tonumber(ARGV[8]), tonumber(ARGV[9])
local granted, wait = 0, 0
local tolerance = emission * ARGV[10]
local function save(tat)
  redis.call('SET', KEYS[2], string.format('%.17g', tat), 'PX', math.ceil(tolerance + emission) + 1000)
end
if wanted < 0 then
  local tat = tonumber(redis.call('GET', KEYS[2]) or 0)
  if tat > now then save(math.max(now, tat + wanted * emission)) end
elseif wanted > 0 then
  local tat = tonumber(redis.call('GET', KEYS[2]) or 0)
  if tat > now + tolerance then tat = now + tolerance end
  if tat < now then tat = now end
  granted = math.min(wanted, math.floor((now + tolerance - tat) / emission + 1e-9))
  if granted > 0 then
    tat = tat + granted * emission
    save(tat)
  end
  wait = math.max(1, math.ceil(tat + emission - tolerance - now))
end
return {held, granted, wait, room - held}
`);
