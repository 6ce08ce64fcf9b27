import { fakeProvider, recordingSink, sampleFeature, type SampleJob } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createGuard, envFlags } from "./index.ts";

function malformed(variables: Record<string, string>) {
  const record = recordingSink();
  const guard = createGuard({
    ...sampleFeature,
    provider: fakeProvider<SampleJob>(),
    flags: envFlags({ variables }),
    allowlist: [],
    sinks: [record.sink],
  });
  /** Variables that were told of since the last time. */
  let told = 0;
  const news = async (): Promise<readonly (string | undefined)[]> => {
    for (let i = 0; i < 3; i += 1) await guard.run({ prompt: "p" }, { subject: "alice" });
    guard.flush();
    const alerts = record.of("alert").slice(told);
    told += alerts.length;
    return alerts.map((alert) => alert.variable);
  };
  return { guard, news, record };
}

describe("a malformed value of a flag", () => {
  it("is told at the start, by its variable and how it is read, never by its value", async () => {
    const { news, record, guard } = malformed({ FEATURE_SAMPLE_AI: "true", SAMPLE_AI_KILL: "nah" });
    expect(await news()).toEqual(["SAMPLE_AI_KILL"]);
    expect(record.of("alert")).toMatchObject([
      {
        code: "FLAG_MALFORMED",
        message: "SAMPLE_AI_KILL is malformed: expected true or false; it is read as true",
      },
    ]);
    guard.close();
  });

  it("is told once for as long as it lasts, whatever else changes", async () => {
    const variables: Record<string, string> = { FEATURE_SAMPLE_AI: "true" };
    const { news, guard } = malformed(variables);
    expect(await news()).toEqual([]);
    variables["SAMPLE_AI_KILL"] = "nah";
    expect(await news()).toEqual(["SAMPLE_AI_KILL"]);
    variables["SAMPLE_AI_ROLLOUT_PERCENT"] = "50";
    expect(await news()).toEqual([]);
    variables["SAMPLE_AI_KILL"] = "neither";
    expect(await news()).toEqual([]);
    variables["SAMPLE_AI_ROLLOUT_PERCENT"] = "half";
    expect(await news()).toEqual(["SAMPLE_AI_ROLLOUT_PERCENT"]);
    guard.close();
  });

  it("is told again when it comes back after it was put right", async () => {
    const variables: Record<string, string> = { SAMPLE_AI_KILL: "nah" };
    const { news, guard } = malformed(variables);
    expect(await news()).toEqual(["SAMPLE_AI_KILL"]);
    variables["SAMPLE_AI_KILL"] = "false";
    expect(await news()).toEqual([]);
    variables["SAMPLE_AI_KILL"] = "nah";
    expect(await news()).toEqual(["SAMPLE_AI_KILL"]);
    guard.close();
  });
});
