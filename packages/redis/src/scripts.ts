import { createHash } from "node:crypto";
import { settleLua, usesLua } from "./budget-lua.ts";

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

/** One tool call against one rate. KEYS: the rate. ARGV: now or '', emission ms, burst, mode. Reply: refused, wait. */
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
 * ARGV: 1 now or '', then one after another:
 *   B key-number count {id age lease}      in flight still, as of `age` ms ago
 *   N key-number count {id age lease}      as B, of processes among the others
 *   R key-number count {id}                no longer in flight
 *   S key-number count {id input output}   reservations that ended with this usage: '' for none told, 'v' for
 *                                          one that nothing was spent of; no id twice
 * Reply: how many of them found what they name, how many processes there are (0 where not asked), how many
 * are lost.
 */
export const upkeepScript = script(`
local now = tonumber(ARGV[1])
${timeLua}
${usesLua}
${settleLua}
local at, found, processes, lost = 2, 0, 0, 0
while ARGV[at] do
  local op, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
  at = at + 3
  if op == 'R' then
    local removed = redis.pcall('ZREM', key, unpack(ARGV, at, at + count - 1))
    if type(removed) == 'table' then lost = lost + count else found = found + removed end
    at = at + count
  elseif op == 'B' or op == 'N' then
    local add, longest = {'ZADD', key}, 0
    for i = 1, count do
      local lease = tonumber(ARGV[at + 2])
      if lease > longest then longest = lease end
      add[i * 2 + 1], add[i * 2 + 2] = math.floor(now - ARGV[at + 1] + lease), ARGV[at]
      at = at + 3
    end
    if type(redis.pcall(unpack(add))) == 'table' then
      lost = lost + count
    else
      redis.call('PEXPIRE', key, op == 'N' and longest * 4 or ${setTtlMs})
      found = found + count
      if op == 'N' then
        redis.call('ZREMRANGEBYSCORE', key, '-inf', math.floor(now))
        processes = redis.call('ZCARD', key)
      end
    end
  else
    local ended, missed = settle(key, count, at)
    found, lost = found + ended, lost + missed
    at = at + count * 3
  end
end
return {found, processes, lost}
`);
