import type { GateMode } from "@sluice/contract";
import type { BudgetPolicy } from "./policies.ts";

/*
 * A day's budgets are two hashes, so that one command reads and one writes what many requests need.
 * The day: c, t and m are the calls, tokens and cost of all, whether limited or not; e is when the first
 * reservation may be over; s is how far a look for such has come. A field with a longer name is a request's
 * id, and its value a reservation: "due input output price-in price-out", and where subjects have budgets
 * " own subject": own is the output charged to the subject, as output is that charged to all, and - is for
 * nothing charged. Once its time was up its due is x.
 * `:users`: by subject calls, tokens and cost, packed, since reading figures from text costs more than a command.
 */

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
  /** Where the arguments of request `r` begin, in Lua. */
  readonly argOf: string;
}

const ownOf = (budgets: readonly BudgetParts[]): BudgetParts | undefined =>
  budgets.find(({ policy }) => policy.scope === "user");
/** All requests are counted, limited or not. */
const allOf = (budgets: readonly BudgetParts[]): string =>
  budgets.find(({ policy }) => policy.scope === "global")?.name ?? "all";

/** Arguments of a request with budgets: id, input, output, least output, price in, price out, and its subject. */
export const budgetArgs = (hasOwn: boolean): number => (hasOwn ? 7 : 6);

/** Uses of subjects by field. */
export const usesLua = `
local function useOf(uses, field, packed)
  local use = uses[field]
  if not use then
    if packed then
      local c, t, m = struct.unpack('<ddd', packed)
      use = {c, t, m}
    else
      use = {0, 0, 0}
    end
    uses[field] = use
  end
  return use
end
local function writeUses(key, uses)
  local set = {'HSET', key}
  local n = 2
  for field, use in pairs(uses) do
    set[n + 1], set[n + 2] = field, struct.pack('<ddd', use[1], use[2], use[3])
    n = n + 2
  end
  if n > 2 then redis.call(unpack(set)) end
end
local reservation = '^(%S+) (%S+) (%S+) (%S+) (%S+) ?(%S*) ?(%S*)$'`;

/** So many fields are looked at with one decision. */
const reapedAtOnce = 500;

/**
 * Gives back the output part of reservations whose time is up; the prompt stays charged, and so does the
 * reservation with an x for its time: what ends late is charged by all it was. A part of the day at a time.
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
  local fields, late = {}, {}
  for i = 1, #page[2], 2 do
    local id, text = page[2][i], page[2][i + 1]
    local due, input, output, pin, pout, own, field
    if #id > 1 then due, input, output, pin, pout, own, field = string.match(text, reservation) end
    local dueMs = tonumber(due or '')
    if not dueMs then
      -- Over already, or somebody else's.
    elseif dueMs <= now then
      if output ~= '-' then t, m = t - output, m - output * pout end
      set[#set + 1], set[#set + 2] = id, 'x' .. string.sub(text, #due + 1)
      if own ~= '' and own ~= '-' then
        fields[#fields + 1] = field
        late[#late + 1] = {own, pout}
      end
    elseif dueMs < known then
      known = dueMs
    end
  end
  if #fields > 0 then
    local read, uses = redis.call('HMGET', day .. ':users', unpack(fields)), {}
    for i = 1, #fields do
      local use, own, pout = useOf(uses, fields[i], read[i]), late[i][1], late[i][2]
      use[2], use[3] = use[2] - own, use[3] - own * pout
    end
    writeUses(day .. ':users', uses)
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
export function openDay({ key, budgets, reservationMs, argOf }: DayParts): string {
  const all = allOf(budgets);
  return `${usesLua}${reapLua(reservationMs)}
local day, due = ${key}, nowMs + ${reservationMs}
local dueText = string.format('%.0f', due)
local day_use = redis.call('HMGET', day, 'c', 't', 'm', 'e', 's', unpack(ids))
local ${all}_c, ${all}_t, ${all}_m, earliest = tonumber(day_use[1] or 0), tonumber(day_use[2] or 0), tonumber(day_use[3] or 0), tonumber(day_use[4] or 0)
local day_set = {'HSET', day}
if earliest > 0 and earliest <= now then
  ${all}_t, ${all}_m, earliest = reap(day, day_use[5], day_set, ${all}_t, ${all}_m, earliest)
end
${
  ownOf(budgets) === undefined
    ? ""
    : `local users, uses, dirty, subjects = day .. ':users', {}, {}, {}
for r = 1, count do subjects[r] = ARGV[${argOf} + ${budgetArgs(true) - 1}] end
local users_use = redis.call('HMGET', users, unpack(subjects))`
}`;
}

/** Whether the request is charged already. */
export const readDay = `local mine = day_use[5 + r]
  if mine then again = true end`;

/** What a request asks for, and what it was granted where it is charged already. */
export function askDay(budgets: readonly BudgetParts[]): string {
  const enforced = budgets.filter(({ mode }) => mode === "enforce");
  const granted = ownOf(enforced) === undefined ? "output" : "own";
  return `local input, asked, least = tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 3]), tonumber(ARGV[arg + 4])
    local pin, pout = tonumber(ARGV[arg + 5]), tonumber(ARGV[arg + 6])
    if least > asked then least = asked end
    granted = asked
    ${ownOf(budgets) === undefined ? "" : `local use = useOf(uses, subjects[r], users_use[r])`}
    ${
      enforced.length === 0
        ? ""
        : `if mine then
      local _, _, output, _, _, own = string.match(mine, reservation)
      granted = tonumber(${granted}) or 0
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
  return `${policy.scope === "user" ? `local ${name}_c, ${name}_t, ${name}_m = use[1], use[2], use[3]` : ""}
    local ${name}_out, ${name}_no = asked, false
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
          ${into} = output == granted and grantedText or string.format('%.0f', output)
          ${then}`;
  // Numbers that came as text go on as text: writing one costs as much as a command.
  return `local pi, po = pin or 0, pout or 0
        local grantedText = granted == asked and ARGV[arg + 3] or string.format('%.0f', granted)
        local ofAll, ofOwn = '-', '-'
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
            `use[1], use[2], use[3] = ${own.name}_c, ${own.name}_t, ${own.name}_m
          dirty[subjects[r]] = use`,
          )}
        end`
        }
        local n = #day_set
        day_set[n + 1] = id
        day_set[n + 2] = dueText .. ' ' .. ARGV[arg + 2] .. ' ' .. ofAll .. ' ' .. (pin and ARGV[arg + 5] or '0') .. ' ' .. (pout and ARGV[arg + 6] or '0')${own === undefined ? "" : ` .. ' ' .. ofOwn .. ' ' .. subjects[r]`}`;
}

/** Writes what a batch changed. */
export function closeDay(budgets: readonly BudgetParts[]): string {
  const all = allOf(budgets);
  const own = ownOf(budgets);
  return `if #day_set > 2 then
  if earliest == 0 or earliest > due then earliest = due end
  local n = #day_set
  day_set[n + 1], day_set[n + 2], day_set[n + 3], day_set[n + 4] = 'c', ${all}_c, 't', string.format('%.0f', ${all}_t)
  day_set[n + 5], day_set[n + 6], day_set[n + 7], day_set[n + 8] = 'm', string.format('%.0f', ${all}_m), 'e', earliest == due and dueText or string.format('%.0f', earliest)
  redis.call(unpack(day_set))
  ${own === undefined ? "" : "writeUses(users, dirty)"}
  if not day_use[1] then
    redis.call('PEXPIRE', day, ARGV[4])
  end
  ${own === undefined ? "" : `if not day_use[1] or tidy then redis.call('PEXPIRE', users, ARGV[4]) end`}
end`;
}

/**
 * Reservations that ended, of one day, with the usage in ARGV from `at`: how many there were, and how
 * many are lost for a key of another type.
 */
export const settleLua = `
local function settleUse(use, due, input, output, pin, pout, usedIn, usedOut)
  -- What was late gave its output back already.
  local charged = due == 'x' and 0 or output
  if usedIn == 'v' then
    use[1], usedIn, usedOut = use[1] - 1, 0, 0
  elseif usedIn == '' then
    usedIn, usedOut = input, output
  end
  use[2] = use[2] - input - charged + usedIn + usedOut
  use[3] = use[3] - input * pin - charged * pout + usedIn * pin + usedOut * pout
end
local function settle(day, count, at)
  local ids = {}
  for i = 1, count do ids[i] = ARGV[at + (i - 1) * 3] end
  local read = redis.pcall('HMGET', day, 'c', 't', 'm', unpack(ids))
  if read.err then return 0, count end
  local gone, ends, subjects, place = {}, {}, {}, {}
  for i = 1, count do
    local mine = read[i + 3]
    if mine then
      local due, input, output, pin, pout, own, field = string.match(mine, reservation)
      if due then
        gone[#gone + 1] = ids[i]
        ends[#gone] = {at + (i - 1) * 3, due, input, output, pin, pout, own, field}
        if own ~= '' and own ~= '-' and not place[field] then
          subjects[#subjects + 1] = field
          place[field] = #subjects
        end
      end
    end
  end
  if #gone == 0 then return 0, 0 end
  local all, uses, packed, lost = {tonumber(read[1] or 0), tonumber(read[2] or 0), tonumber(read[3] or 0)}, {}, {}, 0
  if #subjects > 0 then
    packed = redis.pcall('HMGET', day .. ':users', unpack(subjects))
    if packed.err then packed, lost = {}, #gone end
  end
  for i = 1, #gone do
    local arg, due, input, output, pin, pout, own, field = unpack(ends[i])
    local usedIn, usedOut = ARGV[arg + 1], ARGV[arg + 2]
    if output ~= '-' then settleUse(all, due, input, output, pin, pout, usedIn, usedOut) end
    if place[field] and own ~= '-' and lost == 0 then
      settleUse(useOf(uses, field, packed[place[field]]), due, input, own, pin, pout, usedIn, usedOut)
    end
  end
  redis.call('HSET', day, 'c', string.format('%.0f', all[1]), 't', string.format('%.0f', all[2]),
    'm', string.format('%.0f', all[3]))
  writeUses(day .. ':users', uses)
  redis.call('HDEL', day, unpack(gone))
  return #gone, lost
end`;
