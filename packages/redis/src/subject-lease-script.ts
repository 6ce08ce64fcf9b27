import { script, setTtlMs, timeLua } from "./scripts.ts";

/** What the script answers for one subject. */
export const claimed = 0;
export const admitted = 1;
export const full = 2;
export const ownedByAnother = 3;
/** It came late: a later call of the same process was carried out before it. */
export const superseded = 4;
/** A shadow: it would have been refused, and is not counted. */
export const beside = 5;
export const ofAnotherType = -1;

/** What a claim is good for stands in its text; this is only so that none stays for ever. */
const shortestTtlMs = 60_000;

/** Of each entry, before its ids. */
const perEntryArgs = 6;
/** Of its answer. */
export const perEntryReply = 4;

/**
 * Subjects of one turn. A subject is claimed by one process, which then counts it in its memory; or shared,
 * and each request is counted here; or neither, and whoever comes claims it. A claim that another wants is
 * given up by its owner, with all that it let in; then it is shared until one process alone asks for it.
 *
 * A claim is "c due number wanted process"; what is shared, "s due 0 0 process-that-asked-last".
 * Numbers grow with a process' calls: what comes after a later one changes no claim. A second run changes
 * nothing.
 *
 * KEYS: of each entry its claim, and its set in flight. ARGV: 1 now or '', 2 process, 3 claim's lease ms,
 * 4 a request's lease ms, 5 limit, 6 how many; then of each entry: what (A a request comes, R the claim goes
 * on, L it is given up), number, mode (0 off, 1 shadow, 2 enforce), the request's id, 1 where nothing is
 * counted in the process' memory, and how many ids follow that the process counted there and does no longer.
 * Reply, of each entry: what was decided, how many are in the set, ms until another's claim ends, 1 where
 * another wants this claim.
 */
export const subjectLeaseScript = script(`
local now = tonumber(ARGV[1])
${timeLua}
local me, claimMs, limit = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])
local floor = math.floor(now)
local expiry = string.format('%.0f', floor + ARGV[4])
local claimDue = string.format('%.0f', math.ceil(now) + claimMs)
local reply, at = {}, 7
for r = 1, tonumber(ARGV[6]) do
  local key, set = KEYS[r * 2 - 1], KEYS[r * 2]
  local op, number, mode, id, alone = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3], ARGV[at + 4] == '1'
  local first = at + ${perEntryArgs}
  at = first + ARGV[at + 5]
  local status, wait, n = ${claimed}, 0, redis.pcall('ZCARD', set)
  local value, isWanted = redis.pcall('GET', key), false
  if type(value) == 'table' or type(n) == 'table' then
    status, n = ${ofAnotherType}, 0
  else
    for i = first, at - 1 do redis.call('ZADD', set, expiry, ARGV[i]) end
    if n > 0 or at > first then
      redis.call('ZREMRANGEBYSCORE', set, '-inf', floor)
      n = redis.call('ZCARD', set)
      if at > first then redis.call('PEXPIRE', set, ${setTtlMs}) end
    end
    local kind, due, last, wanted, who = string.match(value or '', '^(%S) (%S+) (%S+) (%S) (%S+)$')
    due, last = tonumber(due or 0), tonumber(last or 0)
    local function write(what, untilMs, of, mark, process)
      redis.call('SET', key, what .. ' ' .. untilMs .. ' ' .. of .. ' ' .. mark .. ' ' .. process, 'PX', math.max(claimMs * 4, ${shortestTtlMs}))
    end
    local isMine = kind == 'c' and who == me
    local isAnothers = kind == 'c' and who ~= me and due > now
    local isShared = kind == 's' and due > now
    isWanted = isMine and wanted == '1'
    local function count()
      if not redis.call('ZSCORE', set, id) then
        redis.call('ZADD', set, expiry, id)
        redis.call('PEXPIRE', set, ${setTtlMs})
        n = n + 1
      end
      status = ${admitted}
    end
    if isMine and last > number then
      status = ${superseded}
    elseif op == 'L' then
      if isWanted then write('s', claimDue, 0, 0, '-') elseif isMine then redis.call('DEL', key) end
    elseif isAnothers then
      status, wait = ${ownedByAnother}, math.ceil(due - now)
      if op == 'A' then
        if wanted ~= '1' then write('c', string.format('%.0f', due), last, 1, who) end
        if mode == '0' then count() end
      end
    elseif op == 'R' and isShared then
      status = ${ownedByAnother}
    elseif op == 'A' and (isShared or (isWanted and alone)) then
      if isMine or who ~= me then write('s', claimDue, 0, 0, me) end
      if n < limit or mode == '0' or redis.call('ZSCORE', set, id) then
        count()
      else
        status = mode == '1' and ${beside} or ${full}
      end
    else
      write('c', claimDue, number, isWanted and 1 or 0, me)
    end
  end
  local place = (r - 1) * ${perEntryReply}
  reply[place + 1], reply[place + 2], reply[place + 3], reply[place + 4] = status, n, wait, isWanted and 1 or 0
end
return reply
`);
