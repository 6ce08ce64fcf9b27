import type { AdmissionAsk, GateMode } from "@sluice/contract";
import { chargeBudget, lookAtBudget, reapLua } from "./budget-lua.ts";
import { modeOf, type BudgetPolicy, type InFlightPolicy, type Policies } from "./policies.ts";
import { gcraLua, script, setTtlMs, timeLua, type Script } from "./scripts.ts";

/** What a script is made for: the limits stand in its text, so that a decision brings only what is its own. */
export interface AcquirePlan {
  readonly policies: Policies;
  readonly hasBudget: boolean;
  readonly ask: Pick<AdmissionAsk, "modes"> | undefined;
  readonly leaseMs: number;
  readonly reservationMs: number;
}

/** Arguments before the requests' own: the time or '', tidy, how many, and until the day may be forgotten. */
const headArgs = 4;
/** Of a request's answer, before its counts. */
export const headReply = 5;

/**
 * Decisions of one turn, in their order. For each, every dimension is looked at, then all are written or
 * none. A second run under the same id changes nothing and answers as the first.
 *
 * KEYS: what all share (sets in flight, rates, the budget), then of each request its own (sets, the budget).
 * ARGV: 1 now or '', 2 tidy ('1' or '0'), 3 how many requests, 4 milliseconds until the day's counts may be
 * forgotten; then of each request its id, and with budgets input, output, least output, price in, price out
 * ('' without a price).
 * Reply: now in ms; then of each request: refused bits, would-refuse bits, bits of the sets it is in, wait of
 * rates in ms, output granted or -1, for each set its count before, for each rate its arrival time in µs, for each
 * budget calls, tokens and cost before.
 */
export function buildAcquireScript(plan: AcquirePlan): Script {
  const { policies, hasBudget, ask } = plan;
  const { inFlight, rates } = policies;
  const budgets = hasBudget ? policies.budgets : [];
  const all = [...inFlight, ...rates, ...budgets];
  const nameOf = (policy: (typeof all)[number]): string => `p${all.indexOf(policy)}`;
  const mode = (policy: (typeof all)[number]): GateMode => modeOf(policy, ask);
  const refuse = (policy: (typeof all)[number], more = ""): string => {
    if (mode(policy) === "off") return "";
    const where = mode(policy) === "enforce" ? "refused" : "would";
    return `${where} = ${where} + ${2 ** all.indexOf(policy)} ${more}`;
  };

  const sharedSets = inFlight.filter(({ scope }) => scope === "global");
  const [first] = sharedSets;
  const ownSets = inFlight.filter(({ scope }) => scope === "user");
  const sharedBudget = budgets.find(({ scope }) => scope === "global");
  const ownBudget = budgets.find(({ scope }) => scope === "user");
  const shared = [...sharedSets, ...rates, ...(sharedBudget ? [sharedBudget] : [])];
  const own = [...ownSets, ...(ownBudget ? [ownBudget] : [])];
  const keyOf = (policy: (typeof all)[number]): string =>
    shared.includes(policy)
      ? `KEYS[${shared.indexOf(policy) + 1}]`
      : `KEYS[own + ${own.indexOf(policy as InFlightPolicy | BudgetPolicy) + 1}]`;
  const perRequest = hasBudget && budgets.length > 0 ? 6 : 1;

  const counts = [
    ...inFlight.map((policy) => `${nameOf(policy)}_n`),
    ...rates.map((policy) => `math.floor(${nameOf(policy)}_tat * 1000 + 0.5)`),
    ...budgets.flatMap((policy) => ["c", "t", "m"].map((field) => `${nameOf(policy)}_${field}`)),
  ];

  return script(`
local now, tidy, count = tonumber(ARGV[1]), ARGV[2] == '1', tonumber(ARGV[3])
${timeLua}
local nowMs = math.floor(now)
local expiry = string.format('%.0f', nowMs + ${plan.leaseMs})
${
  budgets.length > 0
    ? `local due = nowMs + ${plan.reservationMs}
local dueText = string.format('%.0f', due)`
    : ""
}
${rates.length > 0 ? gcraLua : ""}
${budgets.length > 0 ? reapLua : ""}
local ids = {}
for r = 1, count do ids[r] = ARGV[${headArgs} + (r - 1) * ${perRequest} + 1] end
local reply = {nowMs}
${sharedSets.map((policy) => openSharedSet(policy, nameOf(policy), keyOf(policy), mode(policy))).join("\n")}
${rates
  .map(
    (policy) =>
      `local ${nameOf(policy)}_tat, ${nameOf(policy)}_moved = tonumber(redis.call('GET', ${keyOf(policy)}) or 0), false`,
  )
  .join("\n")}
${sharedBudget ? openSharedBudget(nameOf(sharedBudget), keyOf(sharedBudget)) : ""}
for r = 1, count do
  local id, own, arg = ids[r], ${shared.length} + (r - 1) * ${own.length}, ${headArgs} + (r - 1) * ${perRequest}
  local refused, would, inside, wait, granted, again = 0, 0, 0, 0, -1, false
  ${first === undefined ? "" : knownBefore(nameOf(first), keyOf(first), mode(first))}
  ${sharedSets
    .filter((policy) => mode(policy) !== "off")
    .map(
      (
        policy,
      ) => `local ${nameOf(policy)}_full = ${nameOf(policy)}_n >= ${policy.limit} and not again
  if ${nameOf(policy)}_full then
    ${refuse(policy)}
  end`,
    )
    .join("\n  ")}
  ${ownSets.map((policy) => lookAtOwnSet(policy, nameOf(policy), keyOf(policy), mode(policy), refuse(policy))).join("\n  ")}
  ${rates
    .map(
      (
        policy,
      ) => `local ${nameOf(policy)}_next, ${nameOf(policy)}_late = gcra(${nameOf(policy)}_tat, ${policy.emissionMs}, ${policy.burst})
  if not ${nameOf(policy)}_next and not again then
    ${refuse(policy, mode(policy) === "enforce" ? `if ${nameOf(policy)}_late > wait then wait = ${nameOf(policy)}_late end` : "")}
  end`,
    )
    .join("\n  ")}
  ${
    budgets.length > 0
      ? `local input, asked, least = tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 3]), tonumber(ARGV[arg + 4])
  local pin, pout = tonumber(ARGV[arg + 5]), tonumber(ARGV[arg + 6])
  if least > asked then least = asked end
  granted = asked`
      : ""
  }
  ${budgets
    .map((policy) =>
      lookAtBudget({
        name: nameOf(policy),
        key: keyOf(policy),
        policy,
        mode: mode(policy),
        refuse: refuse(policy),
      }),
    )
    .join("\n  ")}
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4], reply[at + 5] = refused, would, 0, math.ceil(wait), granted
  ${counts.map((count, index) => `reply[at + ${headReply + index + 1}] = ${count}`).join("\n  ")}
  if again then
    reply[at + 1] = 0
    ${inFlight
      .map(
        (policy, index) =>
          `if redis.call('ZSCORE', ${keyOf(policy)}, id) then inside = inside + ${2 ** index} end`,
      )
      .join("\n    ")}
  elseif refused == 0 then
    ${sharedSets.map((policy) => takeShared(nameOf(policy), inFlight.indexOf(policy), mode(policy))).join("\n    ")}
    ${ownSets.map((policy) => takeOwn(nameOf(policy), keyOf(policy), inFlight.indexOf(policy), mode(policy))).join("\n    ")}
    ${rates
      .filter((policy) => mode(policy) !== "off")
      .map(
        (policy) =>
          `if ${nameOf(policy)}_next then ${nameOf(policy)}_tat, ${nameOf(policy)}_moved = ${nameOf(policy)}_next, true end`,
      )
      .join("\n    ")}
    ${budgets
      .map((policy) =>
        chargeBudget({
          name: nameOf(policy),
          key: keyOf(policy),
          policy,
        }),
      )
      .join("\n    ")}
  end
  reply[at + 3] = inside
end
${sharedSets.map((policy) => closeSharedSet(nameOf(policy), keyOf(policy), mode(policy))).join("\n")}
${rates
  .map(
    (policy) =>
      `if ${nameOf(policy)}_moved then redis.call('SET', ${keyOf(policy)}, string.format('%.17g', ${nameOf(policy)}_tat), 'PX', ${Math.ceil(policy.emissionMs * (policy.burst + 1)) + 1000}) end`,
  )
  .join("\n")}
${sharedBudget ? closeSharedBudget(nameOf(sharedBudget), keyOf(sharedBudget)) : ""}
return reply
`);
}

/** Its count, exact where it matters, and which of the ids it has already. */
function openSharedSet(policy: InFlightPolicy, name: string, key: string, mode: GateMode): string {
  return `local ${name}_n = redis.call('ZCARD', ${key})
local ${name}_before, ${name}_add, ${name}_over = ${name}_n, {'ZADD', ${key}}, {'ZADD', ${key} .. ':over'}
${
  mode === "off"
    ? ""
    : `if ${name}_n + count > ${policy.limit} then
  redis.call('ZREMRANGEBYSCORE', ${key}, '-inf', nowMs)
  ${name}_n = redis.call('ZCARD', ${key})
end`
}
local ${name}_fresh = ${name}_n == 0
local ${name}_had = redis.call('ZMSCORE', ${key}, unpack(ids))`;
}

/** What a shadow would have refused is beside the set. */
const knownBefore = (name: string, key: string, mode: GateMode): string =>
  mode === "shadow"
    ? `again = ${name}_had[r] ~= false or (${name}_before > 0 and redis.call('ZSCORE', ${key} .. ':over', id) ~= false)`
    : `again = ${name}_had[r] ~= false`;

function lookAtOwnSet(
  policy: InFlightPolicy,
  name: string,
  key: string,
  mode: GateMode,
  refuse: string,
): string {
  const look = `local ${name}_n, ${name}_full = redis.call('ZCARD', ${key}), false`;
  if (mode === "off") return look;
  return `${look}
  if ${name}_n >= ${policy.limit} and not again then
    redis.call('ZREMRANGEBYSCORE', ${key}, '-inf', nowMs)
    ${name}_n = redis.call('ZCARD', ${key})
    if ${name}_n >= ${policy.limit} then
      ${name}_full = true
      ${refuse}
    end
  end`;
}

function takeShared(name: string, place: number, mode: GateMode): string {
  const take = `${name}_n = ${name}_n + 1
      inside = inside + ${2 ** place}
      ${name}_add[#${name}_add + 1] = expiry
      ${name}_add[#${name}_add + 1] = id`;
  if (mode !== "shadow") return take;
  return `if ${name}_full then
      ${name}_over[#${name}_over + 1] = expiry
      ${name}_over[#${name}_over + 1] = id
    else
      ${take}
    end`;
}

function takeOwn(name: string, key: string, place: number, mode: GateMode): string {
  const take = `inside = inside + ${2 ** place}
    redis.call('ZADD', ${key}, expiry, id)
    if ${name}_n == 0 or tidy then redis.call('PEXPIRE', ${key}, ${setTtlMs}) end`;
  if (mode !== "shadow") return take;
  return `if ${name}_full then
      redis.call('ZADD', ${key} .. ':over', expiry, id)
      redis.call('PEXPIRE', ${key} .. ':over', ${setTtlMs})
    else
    ${take}
    end`;
}

function closeSharedSet(name: string, key: string, mode: GateMode): string {
  return `if #${name}_add > 2 then
  redis.call(unpack(${name}_add))
  if ${name}_fresh or tidy then redis.call('PEXPIRE', ${key}, ${setTtlMs}) end
end
${
  mode === "shadow"
    ? `if #${name}_over > 2 then
  redis.call(unpack(${name}_over))
  redis.call('PEXPIRE', ${key} .. ':over', ${setTtlMs})
end`
    : ""
}
if tidy then
  redis.call('ZREMRANGEBYSCORE', ${key}, '-inf', nowMs)
  redis.call('ZREMRANGEBYSCORE', ${key} .. ':over', '-inf', nowMs)
end`;
}

function openSharedBudget(name: string, key: string): string {
  return `local ${name}_use = redis.call('HMGET', ${key}, 'c', 't', 'm', 'e', unpack(ids))
local ${name}_c, ${name}_t, ${name}_m, ${name}_e = tonumber(${name}_use[1] or 0), tonumber(${name}_use[2] or 0), tonumber(${name}_use[3] or 0), tonumber(${name}_use[4] or 0)
local ${name}_set = {'HSET', ${key}}
local ${name}_fresh = not ${name}_use[1]
if ${name}_e > 0 and ${name}_e <= now then
  ${name}_t, ${name}_m, ${name}_e = reap(${key}, ${name}_t, ${name}_m)
end`;
}

function closeSharedBudget(name: string, key: string): string {
  return `if #${name}_set > 2 then
  local set = ${name}_set
  local n = #set
  set[n + 1], set[n + 2], set[n + 3], set[n + 4] = 'c', ${name}_c, 't', string.format('%.0f', ${name}_t)
  set[n + 5], set[n + 6], set[n + 7], set[n + 8] = 'm', string.format('%.0f', ${name}_m), 'e', ${name}_e
  redis.call(unpack(set))
  if ${name}_fresh then redis.call('PEXPIRE', ${key}, ARGV[4]) end
end`;
}
