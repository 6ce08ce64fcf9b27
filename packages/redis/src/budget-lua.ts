import type { GateMode } from "@sluice/contract";
import type { BudgetPolicy } from "./policies.ts";

/** A day's budget, in a script. A reservation is "due input output price-in price-out", by its request's id. */
export interface BudgetParts {
  readonly name: string;
  readonly key: string;
  readonly policy: BudgetPolicy;
  readonly mode: GateMode;
  /** What is done for a request that finds too little left. */
  readonly refuse: string;
}

/**
 * Gives back the output part of reservations whose time is up; the prompt stays charged, and so does the
 * reservation with an x for its time: what ends late is charged by all it was.
 */
export const reapLua = `
local function reap(key, t, m)
  local all = redis.call('HGETALL', key)
  local earliest = 0
  local set = {'HSET', key}
  for i = 1, #all, 2 do
    if #set > 2000 then
      earliest = nowMs
      break
    end
    if #all[i] > 1 and string.byte(all[i + 1]) ~= 120 then
      local due, input, output, pin, pout =
        string.match(all[i + 1], '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
      due = tonumber(due or '')
      if not due then
        -- Somebody else's.
      elseif due <= now then
        t = t - output
        m = m - output * pout
        set[#set + 1] = all[i]
        set[#set + 1] = 'x ' .. input .. ' ' .. output .. ' ' .. pin .. ' ' .. pout
      elseif earliest == 0 or due < earliest then
        earliest = due
      end
    end
  end
  set[#set + 1] = 'e'
  set[#set + 1] = earliest
  set[#set + 1] = 't'
  set[#set + 1] = string.format('%.0f', t)
  set[#set + 1] = 'm'
  set[#set + 1] = string.format('%.0f', m)
  redis.call(unpack(set))
  return t, m, earliest
end`;

const figures = (name: string): string =>
  `local ${name}_c, ${name}_t, ${name}_m, ${name}_e = tonumber(${name}_use[1] or 0), tonumber(${name}_use[2] or 0), tonumber(${name}_use[3] or 0), tonumber(${name}_use[4] or 0)`;
const reapDue = (name: string, key: string): string =>
  `if ${name}_e > 0 and ${name}_e <= now then ${name}_t, ${name}_m, ${name}_e = reap(${key}, ${name}_t, ${name}_m) end`;

export function openSharedBudget({ name, key }: BudgetParts): string {
  return `local ${name}_use = redis.call('HMGET', ${key}, 'c', 't', 'm', 'e', unpack(ids))
${figures(name)}
local ${name}_set = {'HSET', ${key}}
local ${name}_fresh = not ${name}_use[1]
${reapDue(name, key)}`;
}

/** What stands of it, and whether the request is charged to it already. */
export function readBudget({ name, key, policy }: BudgetParts): string {
  const known = `if ${name}_mine then again = true end`;
  if (policy.scope === "global") {
    return `local ${name}_mine = ${name}_use[4 + r]
  ${known}`;
  }
  return `local ${name}_use = redis.pcall('HMGET', ${key}, 'c', 't', 'm', 'e', id)
  if ${name}_use.err then bad, ${name}_use = true, {} end
  ${figures(name)}
  local ${name}_mine = ${name}_use[5]
  ${known}
  ${reapDue(name, key)}`;
}

/** Whether a budget has room for the request, and for how much output. */
export function lookAtBudget({ name, policy, mode, refuse }: BudgetParts): string {
  const { calls, tokens, costNanoUsd } = policy.caps;
  const isEnforced = mode === "enforce";
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
    if ${name}_mine then
      ${isEnforced ? `granted = tonumber(string.match(${name}_mine, '^%S+ %S+ (%S+)') or 0)` : ""}
    elseif not again then
      ${calls === undefined ? "" : `if ${name}_c + 1 > ${calls} then ${name}_no = true end`}
      ${tokenCheck}
      ${costCheck}
      if ${name}_no then
        ${refuse}
      ${isEnforced ? `elseif ${name}_out < granted then\n        granted = ${name}_out` : ""}
      end
    end`;
}

/** Sets the worst case aside; one that a shadow would have refused is not charged to it. */
export function chargeBudget({ name, key, policy }: BudgetParts): string {
  // Numbers that came as text go on as text: writing one costs as much as a command.
  const common = `local output, pi, po = granted, pin or 0, pout or 0
        if ${name}_out < output then output = ${name}_out end
        ${name}_c, ${name}_t, ${name}_m = ${name}_c + 1, ${name}_t + input + output, ${name}_m + input * pi + output * po
        if ${name}_e == 0 or ${name}_e > due then ${name}_e = due end
        local mine = dueText .. ' ' .. ARGV[arg + 2] .. ' ' .. (output == asked and ARGV[arg + 3] or string.format('%.0f', output)) .. ' ' .. (pin and ARGV[arg + 5] or 0) .. ' ' .. (pout and ARGV[arg + 6] or 0)`;
  const write =
    policy.scope === "global"
      ? `${name}_set[#${name}_set + 1] = id
        ${name}_set[#${name}_set + 1] = mine`
      : `redis.call('HSET', ${key}, 'c', string.format('%d', ${name}_c), 't', string.format('%.0f', ${name}_t), 'm', string.format('%.0f', ${name}_m), 'e', ${name}_e == due and dueText or ${name}_e, id, mine)
        if not ${name}_use[1] then redis.call('PEXPIRE', ${key}, ARGV[4]) end`;
  return `if not ${name}_no then
        ${common}
        ${write}
      end`;
}

export function closeSharedBudget({ name, key }: BudgetParts): string {
  return `if #${name}_set > 2 then
  local set = ${name}_set
  local n = #set
  set[n + 1], set[n + 2], set[n + 3], set[n + 4] = 'c', ${name}_c, 't', string.format('%.0f', ${name}_t)
  set[n + 5], set[n + 6], set[n + 7], set[n + 8] = 'm', string.format('%.0f', ${name}_m), 'e', ${name}_e
  redis.call(unpack(set))
  if ${name}_fresh then redis.call('PEXPIRE', ${key}, ARGV[4]) end
end`;
}
