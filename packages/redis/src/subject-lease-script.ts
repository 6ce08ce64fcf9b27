import { listsLua, sizeOf } from "./lists-lua.ts";
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
const perEntryArgs = 7;
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
 * KEYS: 1 the lists in flight, then of each entry its claim. ARGV: 1 now or '', 2 process, 3 claim's lease ms,
 * 4 a request's lease ms, 5 limit, 6 how many; then of each entry: its subject, what (A a request comes, R the claim goes
 * on, L it is given up), number, mode (0 off, 1 shadow, 2 enforce), the request's id, 1 where nothing is
 * counted in the process' memory, and how many ids follow that the process counted there and does no longer.
 * Reply, of each entry: what was decided, how many are in the list, ms until another's claim ends, 1 where
 * another wants this claim.
 */
export const subjectLeaseScript = script(`
local now = tonumber(ARGV[1])
${timeLua}
local me, claimMs, limit = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])
local nowMs = math.floor(now)
${listsLua}
local expiry = struct.pack('<d', nowMs + ARGV[4])
local claimDue = string.format('%.0f', math.ceil(now) + claimMs)
local count, reply, subjects, at = tonumber(ARGV[6]), {}, {}, 7
for r = 1, count do
  subjects[r] = ARGV[at]
  at = at + ${perEntryArgs} + ARGV[at + 6]
end
local read, lists = redis.pcall('HMGET', KEYS[1], 's', unpack(subjects)), {}
at = 7
for r = 1, count do
  local key, subject = KEYS[r + 1], subjects[r]
  local op, number, mode, id, alone = ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3], ARGV[at + 4], ARGV[at + 5] == '1'
  local first = at + ${perEntryArgs}
  at = first + ARGV[at + 6]
  local status, wait, n = ${claimed}, 0, 0
  local value, isWanted = redis.pcall('GET', key), false
  if type(value) == 'table' or read.err then
    status = ${ofAnotherType}
  else
    local before = lists[subject] or read[r + 1] or ''
    local list = before
    for i = first, at - 1 do list = withLease(list, ARGV[i], expiry) end
    list = live(list)
    n = ${sizeOf("list")}
    local kind, due, last, wanted, who = string.match(value or '', '^(%S) (%S+) (%S+) (%S) (%S+)$')
    due, last = tonumber(due or 0), tonumber(last or 0)
    local function write(what, untilMs, of, mark, process)
      redis.call('SET', key, what .. ' ' .. untilMs .. ' ' .. of .. ' ' .. mark .. ' ' .. process, 'PX', math.max(claimMs * 4, ${shortestTtlMs}))
    end
    local isMine = kind == 'c' and who == me
    local isAnothers = kind == 'c' and who ~= me and due > now
    local isShared = kind == 's' and due > now
    isWanted = isMine and wanted == '1'
    local function take()
      if not leaseOf(list, id) then
        list, n = list .. expiry .. id, n + 1
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
        if mode == '0' then take() end
      end
    elseif op == 'R' and isShared then
      status = ${ownedByAnother}
    elseif op == 'A' and (isShared or (isWanted and alone)) then
      if isMine or who ~= me then write('s', claimDue, 0, 0, me) end
      if n < limit or mode == '0' or leaseOf(list, id) then
        take()
      else
        status = mode == '1' and ${beside} or ${full}
      end
    else
      write('c', claimDue, number, isWanted and 1 or 0, me)
    end
    if list ~= before then lists[subject] = list end
  end
  local place = (r - 1) * ${perEntryReply}
  reply[place + 1], reply[place + 2], reply[place + 3], reply[place + 4] = status, n, wait, isWanted and 1 or 0
end
if not read.err and writeLists(KEYS[1], lists, read[1]) then redis.call('PEXPIRE', KEYS[1], ${setTtlMs}) end
return reply
`);
