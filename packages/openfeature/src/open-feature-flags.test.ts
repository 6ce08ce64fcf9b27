import { randomUUID } from "node:crypto";
import {
  InMemoryProvider,
  OpenFeature,
  ProviderEvents,
  type Client,
  type InMemoryFlagConfiguration,
  type Provider,
  type ResolutionDetails,
} from "@openfeature/server-sdk";
import { flagAgeMs } from "@sluice/policy";
import { describeFlagSource, FakeClock, suiteFeatures } from "@sluice/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { openFeatureFlags, type OpenFeatureFlagsOptions } from "./open-feature-flags.ts";

type Variables = Readonly<Record<string, string | undefined>>;

const flagKeys = {
  killFlag: (feature: string) => `${feature}_kill`,
  percentFlag: (feature: string) => `${feature}_rollout_percent`,
  allowlistFlag: (feature: string) => `${feature}_allowlist`,
};

const flag = (value: boolean | number | readonly string[] | null) => ({
  variants: { it: value } as Record<string, boolean>,
  defaultVariant: "it",
  disabled: false,
});

/** What the variables of the suite say, as flags of a platform. */
function configurationOf(variables: Variables): InMemoryFlagConfiguration {
  const entries = suiteFeatures.flatMap((feature) => {
    const name = feature.toUpperCase();
    const listed = variables[`${name}_ALLOWLIST`];
    return [
      [feature, flag(variables[`FEATURE_${name}`] === "true")],
      [`${feature}_kill`, flag(variables[`${name}_KILL`] === "true")],
      [`${feature}_rollout_percent`, flag(Number(variables[`${name}_ROLLOUT_PERCENT`] ?? 100))],
      [`${feature}_allowlist`, flag(listed?.split(",") ?? null)],
    ] as const;
  });
  return Object.fromEntries(entries) as InMemoryFlagConfiguration;
}

async function clientOf(provider: Provider): Promise<Client> {
  const domain = randomUUID();
  await OpenFeature.setProviderAndWait(domain, provider);
  return OpenFeature.getClient(domain);
}

afterEach(() => OpenFeature.clearProviders());

describeFlagSource(
  "openFeatureFlags",
  async (variables) => {
    const clock = new FakeClock();
    const provider = new InMemoryProvider(configurationOf(variables));
    const client = await clientOf(provider);
    const source = openFeatureFlags({ client, clock, features: suiteFeatures, ...flagKeys });
    await clock.advanceAsync(0);
    return {
      source,
      set: (next) => provider.putConfiguration(configurationOf(next)),
      settle: () => clock.advanceAsync(1000),
    };
  },
  { tells: true, text: false },
);

/** A source over a platform that a test steers. */
async function opened(options: {
  readonly flags?: InMemoryFlagConfiguration;
  readonly source?: Partial<OpenFeatureFlagsOptions>;
}) {
  const clock = new FakeClock();
  const provider = new InMemoryProvider(options.flags ?? { chat_ai: flag(true) });
  const client = await clientOf(provider);
  const source = openFeatureFlags({ client, clock, features: ["chat_ai"], ...options.source });
  const ageMs = () =>
    flagAgeMs(source.confirmedAt() ?? { monotonicMs: Number.NaN, wallMs: Number.NaN }, {
      monotonicMs: clock.monotonicMs(),
      wallMs: clock.wallMs(),
    });
  return { clock, provider, client, source, ageMs, read: () => source.read("chat_ai") };
}

type Answer = (key: string) => Promise<ResolutionDetails<boolean>>;

/** A platform whose answer to every boolean flag a test holds in its hands. */
class HeldProvider extends InMemoryProvider {
  answer: Answer = () => Promise.resolve({ value: true });
  override resolveBooleanEvaluation(key: string): Promise<ResolutionDetails<boolean>> {
    return this.answer(key);
  }
}

async function held(features: readonly string[] = ["chat_ai"]) {
  const clock = new FakeClock();
  const provider = new HeldProvider();
  const client = await clientOf(provider);
  const source = openFeatureFlags({ client, clock, features });
  await clock.advanceAsync(0);
  return { clock, provider, source, read: () => source.read("chat_ai") };
}

describe("openFeatureFlags", () => {
  it("is closed and infinitely old until the platform has answered", async () => {
    const { source, read, ageMs, clock } = await opened({});
    expect(read()).toMatchObject({ enabled: false, salt: "chat_ai" });
    expect(ageMs()).toBe(Number.POSITIVE_INFINITY);
    await clock.advanceAsync(0);
    expect(read()).toMatchObject({ enabled: true, killed: false, percent: 100 });
    expect(ageMs()).toBe(0);
    source.close();
  });

  it("stays closed without a provider, and opens when there is one", async () => {
    const clock = new FakeClock();
    const domain = randomUUID();
    const client = OpenFeature.getClient(domain);
    const source = openFeatureFlags({ client, clock, features: ["chat_ai"] });
    await clock.advanceAsync(3000);
    expect(source.read("chat_ai").enabled).toBe(false);
    expect(source.confirmedAt()?.wallMs).toBe(Number.NEGATIVE_INFINITY);
    await OpenFeature.setProviderAndWait(domain, new InMemoryProvider({ chat_ai: flag(true) }));
    await clock.advanceAsync(0);
    expect(source.read("chat_ai").enabled).toBe(true);
    source.close();
  });

  it("reads a change at the provider's event, before the interval", async () => {
    const { source, read, clock, provider } = await opened({});
    await clock.advanceAsync(0);
    provider.putConfiguration({ chat_ai: flag(false) });
    await clock.advanceAsync(0);
    expect(read().enabled).toBe(false);
    source.close();
  });

  it("reads a change on the interval where the provider tells of none", async () => {
    const { clock, provider, source, read } = await held();
    provider.answer = () => Promise.resolve({ value: false });
    await clock.advanceAsync(999);
    expect(read().enabled).toBe(true);
    await clock.advanceAsync(1);
    expect(read().enabled).toBe(false);
    source.close();
  });

  it("keeps the last value while the platform fails, and lets it go stale", async () => {
    const { clock, provider, source, read } = await held();
    const confirmed = source.confirmedAt();
    provider.answer = () => Promise.reject(new Error("planted"));
    await clock.advanceAsync(10_000);
    expect(read().enabled).toBe(true);
    expect(source.confirmedAt()).toEqual(confirmed);
    provider.answer = () => Promise.resolve({ value: true });
    await clock.advanceAsync(1000);
    expect(source.confirmedAt()?.monotonicMs).toBe(11_000);
    source.close();
  });

  it("confirms nothing while one feature can't be answered, and takes what is said of the others", async () => {
    const { clock, provider, source, read } = await held(["chat_ai", "slotgen_ai"]);
    provider.answer = (key) =>
      key === "chat_ai" ? Promise.resolve({ value: false }) : Promise.reject(new Error("planted"));
    await clock.advanceAsync(1000);
    expect(read().enabled).toBe(false);
    expect(source.read("slotgen_ai").enabled).toBe(true);
    expect(source.confirmedAt()?.monotonicMs).toBe(0);
    source.close();
  });

  it("does not confirm by an answer that the platform calls stale", async () => {
    const { clock, provider, source, read } = await held();
    provider.answer = () => Promise.resolve({ value: false, reason: "STALE" });
    await clock.advanceAsync(3000);
    expect(read().enabled).toBe(true);
    expect(source.confirmedAt()?.monotonicMs).toBe(0);
    source.close();
  });

  it("does not confirm while the provider says that it is stale", async () => {
    const { source, clock, provider } = await opened({});
    await clock.advanceAsync(0);
    provider.events.emit(ProviderEvents.Stale);
    await clock.advanceAsync(3000);
    expect(source.confirmedAt()?.monotonicMs).toBe(0);
    provider.events.emit(ProviderEvents.Ready);
    await clock.advanceAsync(0);
    expect(source.confirmedAt()?.monotonicMs).toBe(3000);
    source.close();
  });

  it("confirms as of when it asked, not of when the answer came", async () => {
    const { clock, provider, source, read } = await held();
    const reply = Promise.withResolvers<ResolutionDetails<boolean>>();
    provider.answer = () => reply.promise;
    await clock.advanceAsync(1500);
    reply.resolve({ value: false });
    await clock.advanceAsync(0);
    expect(read().enabled).toBe(false);
    expect(source.confirmedAt()?.monotonicMs).toBe(1000);
    source.close();
  });

  it("gives up an evaluation that never ends, and takes no late answer of it", async () => {
    const { clock, provider, source, read } = await held();
    const late = Promise.withResolvers<ResolutionDetails<boolean>>();
    provider.answer = () => late.promise;
    await clock.advanceAsync(1000);
    provider.answer = () => Promise.resolve({ value: true });
    await clock.advanceAsync(3000);
    expect(source.confirmedAt()?.monotonicMs).toBeGreaterThanOrEqual(3000);
    let told = 0;
    source.onChange(() => (told += 1));
    late.resolve({ value: false });
    await clock.advanceAsync(0);
    expect(told).toBe(0);
    expect(read().enabled).toBe(true);
    source.close();
  });

  it("asks again when a change comes while it is asking", async () => {
    const { clock, provider, source, read } = await held();
    const reply = Promise.withResolvers<ResolutionDetails<boolean>>();
    provider.answer = () => reply.promise;
    provider.events.emit(ProviderEvents.ConfigurationChanged);
    await clock.advanceAsync(0);
    provider.answer = () => Promise.resolve({ value: false });
    provider.events.emit(ProviderEvents.ConfigurationChanged);
    reply.resolve({ value: true });
    await clock.advanceAsync(0);
    expect(read().enabled).toBe(false);
    source.close();
  });

  it("gives a mapped flag that the platform does not have the safest reading, and names it", async () => {
    const { source, read, clock, ageMs } = await opened({ source: flagKeys });
    await clock.advanceAsync(0);
    expect(read()).toMatchObject({ enabled: true, killed: true, percent: 0, allowlist: [] });
    expect(read().problems.map(({ variable }) => variable)).toEqual([
      "chat_ai_kill",
      "chat_ai_rollout_percent",
      "chat_ai_allowlist",
    ]);
    expect(ageMs()).toBe(0);
    source.close();
  });

  it("gives a value that is none of the flag's the safest reading, and repeats it nowhere", async () => {
    const { source, read, clock } = await opened({
      flags: {
        chat_ai: { ...flag(true), variants: { it: "sentinel" } },
        chat_ai_rollout_percent: flag(12.5),
        chat_ai_allowlist: flag(["ann", 5 as never]),
      },
      source: { percentFlag: flagKeys.percentFlag, allowlistFlag: flagKeys.allowlistFlag },
    });
    await clock.advanceAsync(0);
    expect(read()).toMatchObject({ enabled: false, killed: false, percent: 0, allowlist: [] });
    expect(read().problems).toHaveLength(3);
    expect(JSON.stringify(read())).not.toContain("sentinel");
    source.close();
  });

  it("evaluates flags of other names where it is told so", async () => {
    const { source, read, clock } = await opened({
      flags: { "chat-ai": flag(true) },
      source: { enabledFlag: (feature) => feature.replaceAll("_", "-") },
    });
    await clock.advanceAsync(0);
    expect(read()).toMatchObject({ enabled: true, problems: [] });
    source.close();
  });

  it("sends the context it is given, and no subject of its own", async () => {
    const seen: unknown[] = [];
    const record = (context: Readonly<Record<string, unknown>>) => {
      seen.push(context["targetingKey"]);
      return "it";
    };
    const flags = { chat_ai: { ...flag(true), contextEvaluator: record } };
    const first = await opened({ flags });
    const second = await opened({ flags, source: { context: { targetingKey: "sluice" } } });
    await first.clock.advanceAsync(0);
    await second.clock.advanceAsync(0);
    expect(new Set(seen)).toEqual(new Set([undefined, "sluice"]));
    first.source.close();
    second.source.close();
  });

  it("leaves neither timer nor handler behind when it is closed", async () => {
    const { source, clock, client } = await opened({});
    source.close();
    expect(clock.pendingTimers).toBe(0);
    expect(client.getHandlers(ProviderEvents.ConfigurationChanged)).toEqual([]);
    expect(client.getHandlers(ProviderEvents.Ready)).toEqual([]);
  });

  it("turns down wrong options by name", async () => {
    const { source, client, clock } = await opened({});
    source.close();
    const base = { client, clock, features: ["chat_ai"] };
    const faults: readonly (readonly [object, string])[] = [
      [{ client: {} }, "openFeatureFlags.client"],
      [{ clock: {} }, "openFeatureFlags.clock"],
      [{ features: [] }, "openFeatureFlags.features"],
      [{ features: ["No Name"] }, "openFeatureFlags.features.0"],
      [{ refreshMs: 1 }, "openFeatureFlags.refreshMs"],
      [{ polls: true }, "openFeatureFlags.polls"],
    ];
    for (const [change, option] of faults) {
      expect(() => openFeatureFlags({ ...base, ...change }), option).toThrow(
        expect.objectContaining({ code: "SLUICE_CONFIG", option }),
      );
    }
    expect(clock.pendingTimers).toBe(0);
  });
});
