import type { AdmissionAsk, GateMode } from "@sluice/contract";
import {
  askDay,
  budgetArgs,
  chargeDay,
  closeDay,
  lookAtBudget,
  openDay,
  readDay,
  type BudgetParts,
} from "./budget-lua.ts";
import {
  closeOwnLists,
  closeSharedSet,
  lookAtOwnList,
  lookAtSharedSet,
  openOwnLists,
  openSharedSet,
  takeOwn,
  takeShared,
  type SetParts,
} from "./in-flight-lua.ts";
import { listsLua, sweepLua } from "./lists-lua.ts";
import {
  aheadOfShare,
  closeShares,
  countOfShare,
  lookAtSharedRate,
  openShares,
  type ShareParts,
} from "./share-lua.ts";
import { answerMarked, closeMarks, openMarks, readMark } from "./mark-lua.ts";
import {
  isObserved,
  modeOf,
  noLimit,
  type InFlightPolicy,
  type Policies,
  type RatePolicy,
} from "./policies.ts";
import { gcraLua, script, timeLua, type Script } from "./scripts.ts";

/** What a script is made for: the limits stand in its text, so that a decision brings only what is its own. */
export interface AcquirePlan {
  readonly policies: Policies;
  readonly ask: AdmissionAsk | undefined;
  readonly leaseMs: number;
  readonly reservationMs: number;
}

/** Arguments before the requests' own: the time or '', tidy, how many, and until the day may be forgotten. */
const headArgs = 4;
/** Of a request's answer, before its counts. */
export const headReply = 3;
/** Limits fit into so many values, one bit each. */
export const bitsOfLimits = 256;

/** Whether requests bring their subjects. */
export const namesSubjects = ({ inFlight, budgets }: Policies, hasBudget: boolean): boolean =>
  inFlight.some(isOwn) || (hasBudget && budgets.some(isOwn));

const isOwn = ({ scope }: { readonly scope: "user" | "global" }): boolean => scope === "user";

/**
 * Decisions of one turn, in their order. For each, every dimension is looked at, then all are written or
 * none. A second run under the same id changes nothing and answers as the first. What can't be read is read
 * before anything is written, so a key of another type spoils nothing but the answers of those who name it.
 *
 * KEYS: what requests count in, in the order of limits: in flight (a set of all, or the lists of subjects) and
 * rates; then the day of budgets, where a shadow looks on marks, and with shards this one's shares.
 * ARGV: 1 now or '', 2 tidy ('1' or '0'), 3 how many requests, 4 milliseconds until the day's counts may be
 * forgotten; then the ids of all; where subjects have limits, the subjects of all; and with budgets of each
 * request input, output, least output, price in, price out ('' without a price).
 * Reply: now in ms; then of each request: refused bits + 256 × would-refuse bits + 65,536 × bits of what counts
 * it in flight, wait of rates in ms, output granted or -1, and as they stand after it: each count in flight, how
 * far ahead each rate is in µs, calls, tokens and cost of each budget. With shards at last 1 where this one has
 * no share.
 */
export function buildAcquireScript(plan: AcquirePlan): Script {
  const { policies, ask, leaseMs } = plan;
  const { inFlight, rates } = policies;
  const hasBudget = ask?.budget !== undefined;
  const budgets = hasBudget ? policies.budgets : [];
  const isMarked = isObserved(policies, ask);
  const all = [...inFlight, ...rates, ...budgets];
  type Any = (typeof all)[number];
  const nameOf = (policy: Any): string => `p${all.indexOf(policy)}`;
  const mode = (policy: Any): GateMode => modeOf(policy, ask);
  /** Its limit is a share of what stands in the policy. */
  const isSplit = (policy: Any): boolean =>
    policies.shares !== undefined &&
    (policy.dimension === "message_rate" ||
      (policy.dimension === "global_in_flight" && (policy as InFlightPolicy).limit !== noLimit));
  /** Counts what tells of a shard's demand. */
  const note = (policy: Any, field: "x" | "m" | "y"): string =>
    isSplit(policy) && !policy.isCandidate ? `\n${addTo(`share_${field}`, 1)}` : "";
  const refuse = (policy: Any): string => {
    if (mode(policy) === "off") return "";
    const noted = note(policy, policy.dimension === "message_rate" ? "y" : "x");
    return (
      addTo(mode(policy) === "enforce" ? "refused" : "would", 2 ** all.indexOf(policy)) + noted
    );
  };

  const keyOf = (policy: InFlightPolicy | RatePolicy): string =>
    `KEYS[${[...inFlight, ...rates].indexOf(policy) + 1}]`;
  const partsOf = <P extends Any>(policy: P) => ({
    name: nameOf(policy),
    policy,
    mode: mode(policy),
    refuse: refuse(policy),
  });
  const sets: SetParts[] = inFlight.map((policy) => ({
    ...partsOf(policy),
    key: keyOf(policy),
    limit: isSplit(policy) ? `${nameOf(policy)}_limit` : policy.limit,
  }));
  const sharedSets = sets.filter(({ policy }) => !isOwn(policy));
  const ownLists = sets.filter(({ policy }) => isOwn(policy));
  const days: BudgetParts[] = budgets.map(partsOf);
  const hasDay = days.length > 0;
  const placeOf = ({ policy }: SetParts): number => inFlight.indexOf(policy);
  const dayPlace = inFlight.length + rates.length + (hasDay ? 1 : 0);
  const marks = isMarked ? `KEYS[${dayPlace + 1}]` : undefined;
  const marksPlace = dayPlace + (isMarked ? 1 : 0);
  const shares: ShareParts | undefined = policies.shares && {
    key: `KEYS[${marksPlace + 1}]`,
    limits: policies.shares,
    inFlight: sets.filter(({ policy }) => isSplit(policy)),
    rates: rates.map(partsOf),
  };
  const hasSubjects = namesSubjects(policies, hasBudget);
  const ids = `unpack(ARGV, ${headArgs + 1}, ${headArgs} + count)`;
  const subjects = `unpack(ARGV, ${headArgs + 1} + count, ${headArgs} + count * 2)`;
  const argOf = `${headArgs} + count * ${hasSubjects ? 2 : 1} + (r - 1) * ${hasDay ? budgetArgs : 0}`;
  const [first] = sharedSets;

  const counts = [
    ...sets.map((set) => (isSplit(set.policy) ? countOfShare(set) : `${set.name}_n`)),
    ...rates.map((policy) =>
      isSplit(policy)
        ? aheadOfShare(partsOf(policy))
        : `math.floor((${nameOf(policy)}_tat - now) * 1000 + 0.5)`,
    ),
    ...days.flatMap(({ name }) => ["c", "t", "m"].map((field) => `${name}_${field}`)),
  ];
  const length = headReply + counts.length;

  return script(`
local now, tidy, count = tonumber(ARGV[1]), ARGV[2] == '1', tonumber(ARGV[3])
${timeLua}
local nowMs = math.floor(now)
local expiry = string.format('%.0f', nowMs + ${leaseMs})
${rates.length > 0 ? gcraLua : ""}
${ownLists.length > 0 ? `${listsLua}${sweepLua}\nlocal packedExpiry = struct.pack('<d', nowMs + ${leaseMs})` : ""}
local reply = {nowMs}
${lines("", [
  ...(shares ? [openShares(shares)] : []),
  ...sharedSets.map((set) => openSharedSet(set, ids)),
  ...ownLists.map((set) => openOwnLists(set, subjects)),
])}
${lines(
  "",
  rates.map(
    (policy) =>
      `local ${nameOf(policy)}_tat, ${nameOf(policy)}_moved = tonumber(redis.call('GET', ${keyOf(policy)}) or 0), false`,
  ),
)}
${
  hasDay
    ? openDay({
        key: `KEYS[${dayPlace}]`,
        budgets: days,
        reservationMs: plan.reservationMs,
        ids,
        subjects,
      })
    : ""
}
${marks === undefined ? "" : openMarks(marks, leaseMs, ids)}
for r = 1, count do
  local id, arg, at = ARGV[${headArgs} + r], ${argOf}, 1 + (r - 1) * ${length}
  ${hasSubjects ? `local subject = ARGV[${headArgs} + count + r]` : ""}
  local refused, would, inside, wait, granted = 0, 0, 0, 0, -1
  local again = ${first === undefined ? "false" : `${first.name}_had[r] ~= false`}
  ${marks === undefined ? "" : readMark}
  ${hasDay ? readDay : ""}
  ${lines("  ", [...sharedSets.map(lookAtSharedSet), ...ownLists.map(lookAtOwnList)])}
    ${lines(
      "    ",
      rates.map((policy) => {
        const name = nameOf(policy);
        const look = isSplit(policy)
          ? lookAtSharedRate(partsOf(policy))
          : `local ${name}_next, ${name}_late = gcra(${name}_tat, ${policy.emissionMs}, ${policy.burst})`;
        return `${look}
    if not ${name}_next and not again then
      ${refuse(policy)}
      ${mode(policy) === "enforce" ? `if ${name}_late > wait then wait = ${name}_late end` : ""}
    end`;
      }),
    )}
    ${hasDay ? askDay(days) : ""}
    ${lines("    ", days.map(lookAtBudget))}
    if again then
      inside = ${2 ** inFlight.length - 1}
    elseif refused == 0 then
      ${lines("      ", [
        ...sharedSets.map((set) => takeShared(set, placeOf(set))),
        ...ownLists.map((set) => takeOwn(set, placeOf(set))),
        ...rates
          .filter((policy) => mode(policy) !== "off")
          .map((policy) => {
            const name = nameOf(policy);
            return `if ${name}_next then ${name}_tat, ${name}_moved = ${name}_next, true${note(policy, "m")} end`;
          }),
        ...(hasDay ? [chargeDay(days)] : []),
      ])}
    end
    reply[at + 1], reply[at + 2], reply[at + 3] = refused + ${bitsOfLimits} * would + ${bitsOfLimits ** 2} * inside, math.ceil(wait), granted
    ${lines(
      "    ",
      counts.map((count, index) => `reply[at + ${headReply + index + 1}] = ${count}`),
    )}
    ${marks === undefined ? "" : answerMarked(length)}
end
${lines("", [...sharedSets.map(closeSharedSet), ...ownLists.map(closeOwnLists)])}
${lines(
  "",
  rates.map(
    (policy) =>
      `if ${nameOf(policy)}_moved then redis.call('SET', ${keyOf(policy)}, string.format('%.17g', ${nameOf(policy)}_tat), 'PX', ${Math.ceil(policy.emissionMs * (isSplit(policy) ? 2 * policy.burst : policy.burst + 1)) + 1000}) end`,
  ),
)}
${hasDay ? closeDay(days) : ""}
${marks === undefined ? "" : closeMarks(leaseMs)}${shares === undefined ? "" : `\n${closeShares(shares)}`}
return reply
`);
}

const addTo = (sum: string, bit: number): string => `${sum} = ${sum} + ${bit}`;
const lines = (indent: string, all: readonly string[]): string => all.join(`\n${indent}`);
