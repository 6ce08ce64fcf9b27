import type { FeatureFlags, Switches } from "@sluice/contract";

/** The flags that let pass only what both let pass; problems of both. For a change that can't be trusted yet. */
export function narrowest(current: FeatureFlags, next: FeatureFlags): FeatureFlags {
  return {
    enabled: current.enabled && next.enabled,
    killed: current.killed || next.killed,
    percent: Math.min(current.percent, next.percent),
    allowlist: intersection(current.allowlist, next.allowlist),
    salt: current.salt,
    version: current.version,
    problems: next.problems,
    settling: true,
  };
}

function intersection(
  a: readonly string[] | undefined,
  b: readonly string[] | undefined,
): readonly string[] | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  const inB = new Set(b);
  return a.filter((id) => inB.has(id));
}

/** The same for the gateway's switches; how strictly limits are enforced waits for the change to be trusted. */
export function narrowestSwitches(current: Switches, next: Switches): Switches {
  return {
    ...current,
    FF_CHAT_GATEWAY_ENABLED: current.FF_CHAT_GATEWAY_ENABLED && next.FF_CHAT_GATEWAY_ENABLED,
    FF_CHAT_GATEWAY_SHADOW: current.FF_CHAT_GATEWAY_SHADOW || next.FF_CHAT_GATEWAY_SHADOW,
    FF_FAIL_CLOSED_ON_REDIS_ERROR:
      current.FF_FAIL_CLOSED_ON_REDIS_ERROR || next.FF_FAIL_CLOSED_ON_REDIS_ERROR,
  };
}
