import type { GateMode } from "@sluice/contract";
import type { BudgetPolicy } from "./policies.ts";

/** Gives back the output part of reservations whose time is up; the prompt stays charged, and a mark stays. */
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
      due = tonumber(due)
      if due <= now then
        t = t - output
        m = m - output * pout
        set[#set + 1] = all[i]
        set[#set + 1] = 'x ' .. input .. ' ' .. pin .. ' ' .. pout
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

/** Whether a budget has room for the request, and for how much output. */
export function lookAtBudget(parts: {
  readonly name: string;
  readonly key: string;
  readonly policy: BudgetPolicy;
  readonly mode: GateMode;
  readonly refuse: string;
}): string {
  const { name, key, policy, mode, refuse } = parts;
  const { calls, tokens, costNanoUsd } = policy.caps;
  const isShared = policy.scope === "global";
  const read = isShared
    ? `local ${name}_mine = ${name}_use[4 + r]`
    : `local ${name}_use = redis.call('HMGET', ${key}, 'c', 't', 'm', 'e', id)
  local ${name}_c, ${name}_t, ${name}_m, ${name}_e = tonumber(${name}_use[1] or 0), tonumber(${name}_use[2] or 0), tonumber(${name}_use[3] or 0), tonumber(${name}_use[4] or 0)
  local ${name}_mine = ${name}_use[5]
  if ${name}_e > 0 and ${name}_e <= now then ${name}_t, ${name}_m, ${name}_e = reap(${key}, ${name}_t, ${name}_m) end`;
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
  return `${read}
  local ${name}_out, ${name}_no = asked, false
  if ${name}_mine then
    again = true
    ${mode === "enforce" ? `granted = tonumber(string.match(${name}_mine, '^%d+ %S+ (%S+)') or 0)` : ""}
  elseif not again then
    ${calls === undefined ? "" : `if ${name}_c + 1 > ${calls} then ${name}_no = true end`}
    ${tokenCheck}
    ${costCheck}
    if ${name}_no then
      ${refuse}
    ${mode === "enforce" ? `elseif ${name}_out < granted then\n      granted = ${name}_out` : ""}
    end
  end`;
}

/** Sets the worst case aside; one that a shadow would have refused is not charged to it. */
export function chargeBudget(parts: {
  readonly name: string;
  readonly key: string;
  readonly policy: BudgetPolicy;
}): string {
  const { name, key, policy } = parts;
  // Numbers that came as text go on as text: writing one costs as much as a command.
  const common = `local output, pi, po = granted, pin or 0, pout or 0
      if ${name}_out < output then output = ${name}_out end
      local t, m, e = ${name}_t + input + output, ${name}_m + input * pi + output * po, due
      if ${name}_e > 0 and ${name}_e < due then e = ${name}_e end
      local mine = dueText .. ' ' .. ARGV[arg + 2] .. ' ' .. (output == asked and ARGV[arg + 3] or output) .. ' ' .. (pin and ARGV[arg + 5] or 0) .. ' ' .. (pout and ARGV[arg + 6] or 0)`;
  const write =
    policy.scope === "global"
      ? `${name}_c, ${name}_t, ${name}_m, ${name}_e = ${name}_c + 1, t, m, e
      ${name}_set[#${name}_set + 1] = id
      ${name}_set[#${name}_set + 1] = mine`
      : `redis.call('HSET', ${key}, 'c', string.format('%d', ${name}_c + 1), 't', string.format('%.0f', t), 'm', string.format('%.0f', m), 'e', e == due and dueText or e, id, mine)
      if not ${name}_use[1] then redis.call('PEXPIRE', ${key}, ARGV[4]) end`;
  return `if not ${name}_no then
      ${common}
      ${write}
    end`;
}
