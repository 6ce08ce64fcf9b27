import type { GateMode } from "@sluice/contract";
import type { BudgetPolicy } from "./policies.ts";

/*
 * A day's budgets are two hashes, so that one command reads and one writes what many requests need. Figures are
 * packed, since reading them from text costs more than a command.
 * The day: c, t and m are the calls, tokens and cost of all, whether limited or not, as text; e is when the
 * first reservation may be over; s is how far a look for such has come. A field with a longer name is a
 * request's id, and its value a reservation: six doubles, and where subjects have budgets the subject. They are
 * when it is over, input, output charged to all, price in, price out, output charged to the subject: -1 is for
 * nothing charged, and for the time of one that was over and gave its output back. p is long, so that Redis
 * finds fields by their hash: of a small one it would read all.
 * `:users`: by subject calls, tokens and cost.
 */

/** Of a reservation, before its subject. */
export const reservationBytes = 48;
const reservation = "<dddddd";
const use = "<ddd";

/** A day's budget, in a script. */
export interface BudgetParts {
  readonly name: string;
  readonly policy: BudgetPolicy;
  readonly mode: GateMode;
  /** What is done for a request that finds too little left. */
  readonly refuse: string;
}

/** What a script needs to know of all budgets together. */
export interface DayParts {
  /** The day's key, in Lua. */
  readonly key: string;
  readonly budgets: readonly BudgetParts[];
  readonly reservationMs: number;
  /** Those of all requests, in Lua. */
  readonly ids: string;
  readonly subjects: string;
}

const ownOf = (budgets: readonly BudgetParts[]): BudgetParts | undefined =>
  budgets.find(({ policy }) => policy.scope === "user");
/** All requests are counted, limited or not. */
const allOf = (budgets: readonly BudgetParts[]): string =>
  budgets.find(({ policy }) => policy.scope === "global")?.name ?? "all";

/** Arguments of a request with budgets: input, output, least output, price in, price out. */
export const budgetArgs = 5;

/** So many fields are looked at with one decision. */
const reapedAtOnce = 500;
/** Longer than any field that Redis keeps in a list. */
const padding = 80;

/**
 * Gives back the output part of reservations whose time is up; the prompt stays charged, and so does the
 * reservation with -1 for its time: what ends late is charged by all it was. A part of the day at a time.
 */
const reapLua = (reservationMs: number): string => `
local function reap(day, scan, set, t, m, earliest)
  -- What comes in meanwhile may be missed, and is not over before this.
  local cursor, known = '0', nowMs + ${reservationMs}
  if scan and scan ~= '' then
    cursor, known = string.match(scan, '^(%S+) (%S+)$')
    known = tonumber(known)
  end
  local page = redis.call('HSCAN', day, cursor, 'COUNT', ${reapedAtOnce})
  local subjects, late = {}, {}
  for i = 1, #page[2], 2 do
    local id, packed = page[2][i], page[2][i + 1]
    if #id > 1 and #packed >= ${reservationBytes} then
      local dueMs, input, output, pin, pout, own = struct.unpack('${reservation}', packed)
      if dueMs < 0 then
        -- Over already.
      elseif dueMs <= now then
        if output >= 0 then t, m = t - output, m - output * pout end
        local subject = string.sub(packed, ${reservationBytes + 1})
        set[#set + 1], set[#set + 2] = id, struct.pack('${reservation}', -1, input, output, pin, pout, own) .. subject
        if subject ~= '' and own >= 0 then
          subjects[#subjects + 1] = subject
          late[#late + 1] = {own, pout}
        end
      elseif dueMs < known then
        known = dueMs
      end
    end
  end
  if #subjects > 0 then
    local users, read, uses = day .. ':users', redis.call('HMGET', day .. ':users', unpack(subjects)), {}
    local set = {'HSET', users}
    for i = 1, #subjects do
      local packed = uses[subjects[i]] or read[i]
      if packed then
        local c, t, m = struct.unpack('${use}', packed)
        packed = struct.pack('${use}', c, t - late[i][1], m - late[i][1] * late[i][2])
        uses[subjects[i]] = packed
        set[#set + 1], set[#set + 2] = subjects[i], packed
      end
    end
    if #set > 2 then redis.call(unpack(set)) end
  end
  cursor = page[1]
  set[#set + 1] = 's'
  if cursor == '0' then
    earliest, set[#set + 1] = known, ''
  else
    set[#set + 1] = cursor .. ' ' .. string.format('%.0f', known)
  end
  return t, m, earliest
end`;

/** What a batch begins with. */
export function openDay({ key, budgets, reservationMs, ids, subjects }: DayParts): string {
  const all = allOf(budgets);
  return `${reapLua(reservationMs)}
local day, due = ${key}, nowMs + ${reservationMs}
local day_use = redis.call('HMGET', day, 'c', 't', 'm', 'e', 's', ${ids})
local ${all}_c, ${all}_t, ${all}_m, earliest = tonumber(day_use[1] or 0), tonumber(day_use[2] or 0), tonumber(day_use[3] or 0), tonumber(day_use[4] or 0)
local day_set = {'HSET', day}
if earliest > 0 and earliest <= now then
  ${all}_t, ${all}_m, earliest = reap(day, day_use[5], day_set, ${all}_t, ${all}_m, earliest)
end
${
  ownOf(budgets) === undefined
    ? ""
    : `local users = day .. ':users'
local users_now, users_set = {}, {'HSET', users}
local users_use = redis.call('HMGET', users, ${subjects})`
}`;
}

/** Whether the request is charged already. */
export const readDay = `local mine = day_use[5 + r]
  if mine then again = true end`;

/** What a request asks for, and what it was granted where it is charged already. */
export function askDay(budgets: readonly BudgetParts[]): string {
  const enforced = budgets.filter(({ mode }) => mode === "enforce");
  const granted = ownOf(enforced) === undefined ? "output" : "own";
  const own = ownOf(budgets)?.name;
  return `local input, asked, least = tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 3])
    local pin, pout = tonumber(ARGV[arg + 4]), tonumber(ARGV[arg + 5])
    if least > asked then least = asked end
    granted = asked
    ${
      own === undefined
        ? ""
        : `local ${own}_c, ${own}_t, ${own}_m = 0, 0, 0
    local used = users_now[subject] or users_use[r]
    if used then ${own}_c, ${own}_t, ${own}_m = struct.unpack('${use}', used) end`
    }
    ${
      enforced.length === 0
        ? ""
        : `if mine then
      local _, _, output, _, _, own = struct.unpack('${reservation}', mine)
      granted = math.max(0, ${granted})
    end`
    }`;
}

/** Whether a budget has room for the request, and for how much output. */
export function lookAtBudget({ name, policy, mode, refuse }: BudgetParts): string {
  const { calls, tokens, costNanoUsd } = policy.caps;
  const tokenCheck =
    tokens === undefined
      ? ""
      : `if ${tokens} - ${name}_t - input < ${name}_out then ${name}_out = ${tokens} - ${name}_t - input end
      if ${name}_out < least then ${name}_no = true end`;
  const costCheck =
    costNanoUsd === undefined
      ? ""
      : `if not pin then ${name}_no = true else
        local left = ${costNanoUsd} - ${name}_m - input * pin
        if pout > 0 and left / pout < ${name}_out then ${name}_out = math.floor(left / pout) end
        if left < 0 or ${name}_out < least then ${name}_no = true end
      end`;
  return `local ${name}_out, ${name}_no = asked, false
    if not again then
      ${calls === undefined ? "" : `if ${name}_c + 1 > ${calls} then ${name}_no = true end`}
      ${tokenCheck}
      ${costCheck}
      if ${name}_no then
        ${refuse}
      ${mode === "enforce" ? `elseif ${name}_out < granted then\n        granted = ${name}_out` : ""}
      end
    end`;
}

/** Sets the worst case aside; where a shadow would have refused, nothing is charged to its budget. */
export function chargeDay(budgets: readonly BudgetParts[]): string {
  const own = ownOf(budgets);
  const all = allOf(budgets);
  const isLimited = budgets.some(({ name }) => name === all);
  const charge = (name: string, into: string, then: string): string => `local output = granted
          ${name === all && !isLimited ? "" : `if ${name}_out < output then output = ${name}_out end`}
          ${name}_c, ${name}_t, ${name}_m = ${name}_c + 1, ${name}_t + input + output, ${name}_m + input * pi + output * po
          ${into} = output
          ${then}`;
  return `local pi, po = pin or 0, pout or 0
        local ofAll, ofOwn = -1, -1
        ${isLimited ? `if not ${all}_no then` : "do"}
          ${charge(all, "ofAll", "")}
        end
        ${
          own === undefined
            ? ""
            : `if not ${own.name}_no then
          ${charge(
            own.name,
            "ofOwn",
            `local packed, n = struct.pack('${use}', ${own.name}_c, ${own.name}_t, ${own.name}_m), #users_set
          users_now[subject] = packed
          users_set[n + 1], users_set[n + 2] = subject, packed`,
          )}
        end`
        }
        local n = #day_set
        day_set[n + 1] = id
        day_set[n + 2] = struct.pack('${reservation}', due, input, ofAll, pi, po, ofOwn)${own === undefined ? "" : " .. subject"}`;
}

/** Writes what a batch changed. */
export function closeDay(budgets: readonly BudgetParts[]): string {
  const all = allOf(budgets);
  const own = ownOf(budgets);
  return `if #day_set > 2 then
  if earliest == 0 or earliest > due then earliest = due end
  local n = #day_set
  day_set[n + 1], day_set[n + 2], day_set[n + 3], day_set[n + 4] = 'c', ${all}_c, 't', string.format('%.0f', ${all}_t)
  day_set[n + 5], day_set[n + 6], day_set[n + 7], day_set[n + 8] = 'm', string.format('%.0f', ${all}_m), 'e', string.format('%.0f', earliest)
  if not day_use[1] then day_set[n + 9], day_set[n + 10] = 'p', string.rep('.', ${padding}) end
  redis.call(unpack(day_set))
  ${
    own === undefined
      ? ""
      : `if #users_set > 2 then
    if not day_use[1] then
      local n = #users_set
      users_set[n + 1], users_set[n + 2] = 'p', string.rep('.', ${padding})
    end
    redis.call(unpack(users_set))
  end`
  }
  if not day_use[1] then
    redis.call('PEXPIRE', day, ARGV[4])
  end
  ${own === undefined ? "" : `if not day_use[1] or tidy then redis.call('PEXPIRE', users, ARGV[4]) end`}
end`;
}

/**
 * Reservations that ended, of one day: in ARGV from `at` the ids of all, then input and output that each used.
 * How many there were, and how many are lost for a key of another type.
 */
export const settleLua = `
local function settle(day, count, at)
  local last = at + count - 1
  local read = redis.pcall('HMGET', day, 'c', 't', 'm', unpack(ARGV, at, last))
  if read.err then return 0, count end
  local gone, subjects = {'HDEL', day}, {}
  for i = 1, count do
    local mine = read[i + 3]
    if mine and #mine >= ${reservationBytes} then
      gone[#gone + 1] = ARGV[at + i - 1]
      if #mine > ${reservationBytes} then subjects[#subjects + 1] = string.sub(mine, ${reservationBytes + 1}) end
    end
  end
  if #gone == 2 then return 0, 0 end
  local users, used, lost = day .. ':users', {}, 0
  if #subjects > 0 then
    used = redis.pcall('HMGET', users, unpack(subjects))
    if used.err then used, lost = {}, #gone - 2 end
  end
  local all_c, all_t, all_m = tonumber(read[1] or 0), tonumber(read[2] or 0), tonumber(read[3] or 0)
  local now, set, place = {}, {'HSET', users}, 0
  for i = 1, count do
    local mine = read[i + 3]
    if mine and #mine >= ${reservationBytes} then
      local due, input, output, pin, pout, own = struct.unpack('${reservation}', mine)
      local usedIn, usedOut, calls = ARGV[last + i], ARGV[last + count + i], 0
      if usedIn == 'v' then
        usedIn, usedOut, calls = 0, 0, -1
      elseif usedIn == '' then
        usedIn, usedOut = input, nil
      else
        usedIn, usedOut = tonumber(usedIn), tonumber(usedOut)
      end
      if output >= 0 then
        -- What was late gave its output back already.
        local charged, spent = due < 0 and 0 or output, usedOut or output
        all_c = all_c + calls
        all_t = all_t - input - charged + usedIn + spent
        all_m = all_m - input * pin - charged * pout + usedIn * pin + spent * pout
      end
      if #mine > ${reservationBytes} then
        place = place + 1
        local subject = subjects[place]
        local packed = own >= 0 and (now[subject] or used[place])
        if packed then
          local c, t, m = struct.unpack('${use}', packed)
          local charged, spent = due < 0 and 0 or own, usedOut or own
          packed = struct.pack('${use}', c + calls, t - input - charged + usedIn + spent,
            m - input * pin - charged * pout + usedIn * pin + spent * pout)
          now[subject] = packed
          local n = #set
          set[n + 1], set[n + 2] = subject, packed
        end
      end
    end
  end
  redis.call('HSET', day, 'c', string.format('%.0f', all_c), 't', string.format('%.0f', all_t),
    'm', string.format('%.0f', all_m))
  if #set > 2 then redis.call(unpack(set)) end
  redis.call(unpack(gone))
  return #gone - 2, lost
end`;
