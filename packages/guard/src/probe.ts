import type { Attributes, GateName, GuardRequest, Reason } from "@sluice/contract";
import type { AllowlistRule } from "@sluice/policy";
import { bucketOf, isEligibleSubject } from "@sluice/policy";
import { composeChain, type ChainResult } from "./chain.ts";
import type { Gate } from "./gates/gate.ts";
import { given } from "./given.ts";
import { newContext } from "./new-context.ts";
import type { Route } from "./route.ts";
import type { Safety } from "./safety.ts";

/** What a probe may be told besides the subject. */
export interface ProbeOptions<In> {
  /** What opt-in looks at. */
  readonly input?: In;
  /** What the allowlist's rules over attributes look at. */
  readonly attributes?: Attributes;
}

/** What the gates that decide by memory alone say of a subject now. */
export interface Probe {
  readonly effect: "allow" | "divert";
  /** The gate that diverts; absent when all allow. */
  readonly gate?: GateName;
  readonly reason?: Reason;
  /** Version of the flags it was decided on, where their source has versions. */
  readonly flagVersion?: number;
  readonly percent: number;
  /** 0 to 99; absent where the feature is shut, or the subject never eligible. */
  readonly bucket?: number;
  /** The feature is closed (disabled, killed, or 0 %). */
  readonly closed: boolean;
  /**
   * What the guard looks at and was not given: without an input opt-in is not asked, and without
   * attributes a rule over attributes permits nobody.
   */
  readonly without: readonly (keyof ProbeOptions<unknown>)[];
}

export type ProbeGates<In> = (subject: string, options?: ProbeOptions<In>) => Probe;

const probed: readonly GateName[] = [
  "feature-flag",
  "kill-switch",
  "opt-in",
  "allowlist",
  "rollout",
];

/** A chain of the gates that take nothing and ask no store. Nobody is told when one of them throws. */
export function createProbe<In>(parts: {
  readonly gates: readonly Gate<In>[];
  readonly rules: readonly AllowlistRule[] | undefined;
  readonly safety: Safety;
  readonly route: Route<In>;
}): ProbeGates<In> {
  const { safety, route, rules = [] } = parts;
  const gates = parts.gates.filter(({ name, mode }) => probed.includes(name) && mode !== "off");
  const withInput = composeChain(gates, () => undefined);
  const withoutInput = composeChain(
    gates.filter(({ name }) => name !== "opt-in"),
    () => undefined,
  );
  const looksAt = (gate: GateName): boolean => gates.some(({ name }) => name === gate);
  const wantsInput = looksAt("opt-in");
  const wantsAttributes = looksAt("allowlist") && rules.some((rule) => typeof rule !== "string");

  return (subject, options = {}) => {
    const { attributes } = options;
    const hasInput = "input" in options;
    const request: GuardRequest = { subject, attributes };
    const context = newContext(safety, route, options.input as In, request);
    // None of these gates waits for anything.
    const result = (hasInput ? withInput : withoutInput)(context) as ChainResult;
    const { percent, salt, version } = context.flags.flags;
    const hasBucket = context.shut === undefined && isEligibleSubject(subject);
    return {
      effect: result.effect === "allow" ? "allow" : "divert",
      ...given("gate", result.gate),
      ...given("reason", result.reason),
      ...given("flagVersion", version),
      percent,
      ...given("bucket", hasBucket ? bucketOf(salt, subject) : undefined),
      closed: context.shut?.closed ?? false,
      without: [
        ...(wantsInput && !hasInput ? (["input"] as const) : []),
        ...(wantsAttributes && attributes === undefined ? (["attributes"] as const) : []),
      ],
    };
  };
}
