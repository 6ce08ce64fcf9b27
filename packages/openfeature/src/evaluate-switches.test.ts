import { randomUUID } from "node:crypto";
import { InMemoryProvider, OpenFeature } from "@openfeature/server-sdk";
import { switchNames } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { afterEach, describe, expect, it } from "vitest";
import type { SwitchKeyOf } from "./evaluate-switches.ts";
import { openFeatureFlags } from "./open-feature-flags.ts";

const flag = (value: unknown) => ({
  variants: { it: value as boolean },
  defaultVariant: "it",
  disabled: false,
});

/** A flag of each switch's own name. */
const sameName: SwitchKeyOf = (name) => name;
const allOff = Object.fromEntries(switchNames.map((name) => [name, flag(false)]));

afterEach(() => OpenFeature.clearProviders());

async function opened(flags: Record<string, ReturnType<typeof flag>>, switchFlag?: SwitchKeyOf) {
  const clock = new FakeClock();
  const provider = new InMemoryProvider({ chat_ai: flag(true), ...flags });
  const domain = randomUUID();
  await OpenFeature.setProviderAndWait(domain, provider);
  const client = OpenFeature.getClient(domain);
  const features = ["chat_ai"];
  const source = openFeatureFlags({
    client,
    clock,
    features,
    ...(switchFlag !== undefined && { switchFlag }),
  });
  await clock.advanceAsync(0);
  const on = () => switchNames.filter((name) => source.readSwitches().switches[name]);
  return { source, clock, provider, on };
}

describe("the chat gateway's switches on an OpenFeature platform", () => {
  it("are all false where no flag is named", async () => {
    const { on, source } = await opened({ FF_CHAT_GATEWAY_ENABLED: flag(true) });
    expect(on()).toEqual([]);
    expect(source.readSwitches().problems).toEqual([]);
    source.close();
  });

  it.each(switchNames)("%s is the flag that the application names", async (name) => {
    const { on, source } = await opened({ ...allOff, [name]: flag(true) }, sameName);
    expect(on()).toEqual([name]);
    source.close();
  });

  it("follow a change, and tell of it", async () => {
    const { on, source, provider, clock } = await opened(allOff, sameName);
    let told = 0;
    source.onChange(() => {
      told += 1;
    });
    provider.putConfiguration({
      chat_ai: flag(true),
      ...allOff,
      FF_CHAT_GATEWAY_ENABLED: flag(true),
    });
    await clock.advanceAsync(0);
    expect(on()).toEqual(["FF_CHAT_GATEWAY_ENABLED"]);
    expect(told).toBe(1);
    source.close();
  });

  it("take their safest reading where the platform has no such flag, or one of another type", async () => {
    const { FF_CHAT_GATEWAY_SHADOW: _, ...flags } = allOff;
    const { on, source } = await opened(
      { ...flags, FF_CHAT_GATEWAY_ENABLED: flag("yes") },
      sameName,
    );
    expect(on()).toEqual(["FF_CHAT_GATEWAY_SHADOW"]);
    expect(source.readSwitches().problems.map(({ variable }) => variable)).toEqual([
      "FF_CHAT_GATEWAY_ENABLED",
      "FF_CHAT_GATEWAY_SHADOW",
    ]);
    source.close();
  });

  it("stay as they were while the platform can't say, and then nothing is confirmed", async () => {
    const { on, source, provider, clock } = await opened(
      { ...allOff, FF_CHAT_GATEWAY_ENABLED: flag(true) },
      sameName,
    );
    const confirmed = source.confirmedAt();
    provider.resolveBooleanEvaluation = (key) =>
      key === "chat_ai" ? Promise.resolve({ value: true }) : Promise.reject(new Error("away"));
    await clock.advanceAsync(3000);
    expect(on()).toEqual(["FF_CHAT_GATEWAY_ENABLED"]);
    expect(source.confirmedAt()).toEqual(confirmed);
    source.close();
  });
});
