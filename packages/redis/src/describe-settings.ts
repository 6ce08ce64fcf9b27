import { lossModeOf, type RedisAdmissionSettings } from "./admission-options.ts";

/** Dimensions with their limits and modes, for people. */
export function describeSettings(settings: RedisAdmissionSettings): readonly string[] {
  const { userInFlight, globalInFlight, messageRate, toolRate } = settings;
  const lines: string[] = [];
  for (const [what, dimension] of [
    ["user", userInFlight],
    ["global", globalInFlight],
  ] as const) {
    if (dimension) lines.push(`${what} in-flight ${dimension.limit} (${dimension.mode})`);
  }
  for (const [what, rate] of [
    ["message", messageRate],
    ["tool", toolRate],
  ] as const) {
    if (rate === undefined) continue;
    const { count, perMs, burst = count, mode } = rate;
    lines.push(`${what} rate ${count} per ${perMs} ms, burst ${burst} (${mode})`);
  }
  for (const [what, budget] of [
    ["user", settings.userBudget],
    ["global", settings.globalBudget],
  ] as const) {
    if (budget === undefined) continue;
    const { calls, tokens, costNanoUsd, mode } = budget;
    const caps = [
      ...(calls === undefined ? [] : [`${calls} calls`]),
      ...(tokens === undefined ? [] : [`${tokens} tokens`]),
      ...(costNanoUsd === undefined ? [] : [`${costNanoUsd} nano-dollars`]),
    ];
    lines.push(`${what} budget ${caps.join(", ")} a day of ${settings.timeZone} (${mode})`);
  }
  const { shards, globalBlocks, subjectLeases } = settings;
  if (globalBlocks !== undefined) {
    lines.push(`global limits in blocks, for ${globalBlocks.processes} processes`);
  }
  if (subjectLeases !== undefined) lines.push(`subjects leased for ${subjectLeases.leaseMs} ms`);
  if (shards !== undefined) lines.push(`split among ${shards.count} shards`);
  const byFunction = typeof settings.onLoss === "function" ? " (asked each time)" : "";
  return [...lines, `${lossModeOf(settings.onLoss)} while Redis is lost${byFunction}`];
}
