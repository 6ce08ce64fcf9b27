import type { FeatureFlags, FlagSource } from "@sluice/contract";
import { flagVariableNames, parseEnvFlags, parseSwitches, type Variables } from "@sluice/policy";
import { describePlantedFaults } from "../describe-planted-faults.ts";
import type { OpenFlagSource } from "./bench.ts";
import { flagSourceChecks } from "./suite.ts";

/** One way each in which a source can be wrong. */
const faults = [
  "reads nothing",
  "no kill is read",
  "percent is a half unless set",
  "features share their flags",
  "unknown features are enabled",
  "throws for unknown features",
  "knows names that it inherits",
  "switches are missing",
  "other flags each time",
  "other flags with time",
  "confirms now and then",
  "stops reading once closed",
  "throws when closed twice",
  "never reads again",
  "changes what it handed out",
  "a kill stays",
  "unset variables stay",
  "only features known at first",
  "one change only",
  "tells nobody",
  "tells before it can be read",
  "tells the first listener only",
  "a throwing listener stops the telling",
  "a throwing listener stops the reading",
  "listeners can't be taken away",
  "tells after it was closed",
  "unclear kill is no kill",
  "enabled by more words",
  "malformed percent is 100",
  "names no variable",
  "empty allowlist is no opinion",
  "switches are never read again",
  "malformed switches are false",
  "repeats values",
] as const;
type Fault = (typeof faults)[number];

/** A plain source over variables in memory, right but for one planted fault. */
function planted(fault?: Fault): OpenFlagSource {
  const has = (one: Fault): boolean => fault === one;
  const adjusted = (variables: Variables): Variables => {
    const next = { ...variables };
    if (has("reads nothing")) return {};
    if (has("no kill is read")) delete next["CHAT_AI_KILL"];
    if (has("percent is a half unless set")) next["CHAT_AI_ROLLOUT_PERCENT"] ??= "50";
    if (has("unclear kill is no kill") && next["CHAT_AI_KILL"] !== "true")
      delete next["CHAT_AI_KILL"];
    if (has("enabled by more words") && next["FEATURE_CHAT_AI"]) next["FEATURE_CHAT_AI"] = "true";
    if (has("malformed percent is 100") && !/^\d+$/.test(next["CHAT_AI_ROLLOUT_PERCENT"] ?? "")) {
      delete next["CHAT_AI_ROLLOUT_PERCENT"];
    }
    if (has("empty allowlist is no opinion") && next["CHAT_AI_ALLOWLIST"] === "") {
      delete next["CHAT_AI_ALLOWLIST"];
    }
    if (has("malformed switches are false")) delete next["FF_CHAT_GATEWAY_SHADOW"];
    return next;
  };

  return (first) => {
    let variables = adjusted(first);
    let changes = 0;
    let closed = false;
    let broken = false;
    const switchesAtFirst = parseSwitches(variables);
    const featuresAtFirst = Object.keys(first);
    const listeners = new Set<() => void>();
    const known = new Map<string, FeatureFlags>();

    const parse = (feature: string): FeatureFlags => {
      const names = flagVariableNames(has("features share their flags") ? "chat_ai" : feature);
      const isNew = !featuresAtFirst.includes(names.enabled);
      const flags = parseEnvFlags(feature, {
        enabled:
          has("only features known at first") && isNew ? undefined : variables[names.enabled],
        kill: variables[names.kill],
        allowlist: variables[names.allowlist],
        percent: variables[names.percent],
      });
      const inherits = has("knows names that it inherits") && feature in {};
      const enabled = flags.enabled || has("unknown features are enabled") || inherits;
      const variable = JSON.stringify(variables);
      const problems = has("repeats values")
        ? flags.problems.map((problem) => ({ ...problem, variable }))
        : flags.problems;
      return { ...flags, enabled, problems: has("names no variable") ? [] : problems };
    };
    const isUnknown = (feature: string) =>
      variables[flagVariableNames(feature).enabled] === undefined;
    const source: FlagSource = {
      name: "planted",
      read(feature) {
        if (has("throws for unknown features") && isUnknown(feature)) throw new Error("unknown");
        if (closed && has("stops reading once closed")) throw new Error("closed");
        const flags = known.get(feature) ?? parse(feature);
        if (!has("other flags each time")) known.set(feature, flags);
        return flags;
      },
      readSwitches() {
        const { switches, problems } = has("switches are never read again")
          ? switchesAtFirst
          : parseSwitches(variables);
        if (has("switches are missing")) return { switches: {} as typeof switches, problems };
        return { switches, problems };
      },
      confirmedAt() {
        if (!has("confirms now and then")) return { monotonicMs: changes, wallMs: changes };
        changes += 1;
        return changes % 2 === 0 ? undefined : { monotonicMs: 1, wallMs: 1 };
      },
      onChange(listener) {
        listeners.add(listener);
        return () => {
          if (!has("listeners can't be taken away")) listeners.delete(listener);
        };
      },
      close() {
        if (closed && has("throws when closed twice")) throw new Error("closed");
        closed = true;
        if (!has("tells after it was closed")) listeners.clear();
      },
    };

    const tell = (): void => {
      if (has("tells nobody")) return;
      for (const listener of listeners) {
        try {
          listener();
        } catch {
          if (has("a throwing listener stops the telling")) return;
          broken ||= has("a throwing listener stops the reading");
        }
        if (has("tells the first listener only")) return;
      }
    };
    return {
      source,
      set(next) {
        if (has("never reads again") || broken || (has("one change only") && changes > 0)) return;
        changes += 1;
        if (has("tells before it can be read")) tell();
        const kept = has("unset variables stay") ? variables : {};
        const killed = has("a kill stays") && variables["CHAT_AI_KILL"] === "true";
        variables = { ...kept, ...adjusted(next), ...(killed && { CHAT_AI_KILL: "true" }) };
        if (has("changes what it handed out")) {
          for (const [feature, flags] of known) Object.assign(flags, parse(feature));
        } else known.clear();
        if (!has("tells before it can be read")) tell();
      },
      settle() {
        if (has("other flags with time")) known.clear();
      },
    };
  };
}

describePlantedFaults({
  name: "the suite of flag sources",
  checks: flagSourceChecks({ tells: true, text: true }),
  faults,
  planted,
});
