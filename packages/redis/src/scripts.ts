import { createHash } from "node:crypto";
import { settleLua } from "./budget-lua.ts";
import { listsLua } from "./lists-lua.ts";

/** A script with the SHA that EVALSHA names it by. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

export function script(text: string): Script {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

/** A set whose leases all ended is deleted by Redis; this is for what a crash leaves of a subject that stays away. */
export const setTtlMs = 86_400_000;

/** Sets `now`, in milliseconds, by Redis' own clock where no other is given. */
export const timeLua = `
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + t[2] / 1000
end`;

/** Whether a rate lets one more through; the arithmetic of \`gcra\` in @sluice/policy, term by term. */
export const gcraLua = `
local function gcra(tat, emission, burst)
  local upper = now + emission * burst
  local slack = math.min(2.220446049250313e-16 * upper * (burst + 1), emission / 2)
  if tat > upper + slack then tat = upper + slack end
  if tat < now then tat = now end
  local next = tat + emission
  local wait = next - upper
  if wait <= slack then return next, 0 end
  return nil, math.min(wait, emission)
end`;

/** One tool call against one rate. KEYS: the rate. ARGV: now or '', emission ms, burst. Reply: refused, wait. */
export const toolScript = script(`
local now = tonumber(ARGV[1])
${timeLua}
${gcraLua}
local emission, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
local next, wait = gcra(tonumber(redis.call('GET', KEYS[1]) or '0'), emission, burst)
if not next then return {1, math.ceil(wait)} end
redis.call('SET', KEYS[1], string.format('%.17g', next), 'PX', math.ceil(emission * burst + emission) + 1000)
return {0, 0}
`);

/**
 * What ended and what goes on, of many requests at once: each step names a key and all of its requests, since
 * a command for each of them would cost more than the rest. Running it twice is the same as once. A key that
 * holds something of another type is left as it is, and what was to be done there is lost.
 * ARGV: 1 now or '', then one after another: what is done, the numbers of two keys or 0, how many, their ids,
 * and of each kind so many columns:
 *   B set lists count ids ages leases subjects   in flight still, as of `age` ms ago
 *   N set 0 count ids ages leases                as B, of processes among the others
 *   R set lists count ids subjects               no longer in flight
 *   S day 0 count ids inputs outputs             reservations that ended with this usage: '' for none told, 'v'
 *                                                for one that nothing was spent of; no id twice
 * Subjects only where there are lists.
 * Reply: how many of them found what they name, how many processes there are (0 where not asked), how many
 * are lost.
 */
export const upkeepScript = script(`
local now = tonumber(ARGV[1])
${timeLua}
local nowMs = math.floor(now)
${listsLua}
${settleLua}
local at, found, processes, lost = 2, 0, 0, 0
while ARGV[at] do
  local op, set, lists, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], KEYS[tonumber(ARGV[at + 2])], tonumber(ARGV[at + 3])
  local first = at + 4
  local last = first + count - 1
  at = last + 1
  if op == 'S' then
    local ended, missed = settle(set, count, first)
    found, lost = found + ended, lost + missed
    at = at + count * 2
  else
    local isOver = op == 'R'
    if not isOver then at = at + count * 2 end
    if set and isOver then
      local removed = redis.pcall('ZREM', set, unpack(ARGV, first, last))
      if type(removed) == 'table' then lost = lost + count else found = found + removed end
    elseif set then
      local add, longest = {'ZADD', set}, 0
      for i = 1, count do
        local lease = tonumber(ARGV[last + count + i])
        if lease > longest then longest = lease end
        add[i * 2 + 1], add[i * 2 + 2] = math.floor(now - ARGV[last + i] + lease), ARGV[first + i - 1]
      end
      if type(redis.pcall(unpack(add))) == 'table' then
        lost = lost + count
      else
        redis.call('PEXPIRE', set, op == 'N' and longest * 4 or ${setTtlMs})
        found = found + count
        if op == 'N' then
          redis.call('ZREMRANGEBYSCORE', set, '-inf', nowMs)
          processes = redis.call('ZCARD', set)
        end
      end
    end
    if lists then
      local read = redis.pcall('HMGET', lists, 's', unpack(ARGV, at, at + count - 1))
      if read.err then
        lost = lost + count
      else
        local changed = {}
        for i = 1, count do
          local id, subject = ARGV[first + i - 1], ARGV[at + i - 1]
          local list = changed[subject] or read[i + 1] or ''
          if isOver then
            local place = leaseOf(list, id)
            if place then
              changed[subject] = withoutLease(list, place)
              found = found + 1
            end
          else
            local expiry = math.floor(now - ARGV[last + i] + ARGV[last + count + i])
            changed[subject] = withLease(list, id, struct.pack('<d', expiry))
            found = found + 1
          end
        end
        if writeLists(lists, changed, read[1]) and not (isOver and read[1]) then
          redis.call('PEXPIRE', lists, ${setTtlMs})
        end
      end
      at = at + count
    end
  end
end
return {found, processes, lost}
`);
