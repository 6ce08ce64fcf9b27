import { randomUUID } from "node:crypto";
import {
  ErrorCode,
  OpenFeature,
  ProviderEvents,
  ProviderStatus,
  type EvaluationContext,
  type Hook,
} from "@openfeature/server-sdk";
import type { FeatureFlags, FlagSource } from "@sluice/contract";
import { bucketOf } from "@sluice/policy";
import { FakeClock, fakeFlagSource } from "@sluice/testkit";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { sluiceProvider, type SluiceProviderOptions } from "./sluice-provider.ts";

afterEach(async () => {
  await OpenFeature.clearProviders();
  OpenFeature.clearHooks();
  OpenFeature.setContext({});
});

/** The provider behind the real SDK, over flags that a test sets. */
async function registered(
  flags: Partial<FeatureFlags> = {},
  options: Partial<SluiceProviderOptions> = {},
) {
  const clock = new FakeClock();
  const source = fakeFlagSource({ clock, flags });
  const domain = randomUUID();
  const provider = sluiceProvider({ source, clock, ...options });
  await OpenFeature.setProviderAndWait(domain, provider);
  const client = OpenFeature.getClient(domain);
  const ask = (targetingKey?: unknown, defaultValue = false) =>
    client.getBooleanDetails(
      "chat_ai",
      defaultValue,
      targetingKey === undefined ? {} : ({ targetingKey } as EvaluationContext),
    );
  return { clock, source, provider, client, domain, ask };
}

/** A source whose flags were not confirmed yet. */
function unconfirmed(clock: FakeClock) {
  const inner = fakeFlagSource({ clock });
  let isConfirmed = false;
  const source: FlagSource = {
    ...inner,
    confirmedAt: () =>
      isConfirmed
        ? inner.confirmedAt()
        : { monotonicMs: Number.NEGATIVE_INFINITY, wallMs: Number.NEGATIVE_INFINITY },
  };
  const confirm = () => {
    isConfirmed = true;
    inner.confirm();
  };
  return { source, inner, confirm };
}

/** What a promise is rejected with; undefined when it is not. */
async function errorOf(promise: Promise<unknown> | undefined): Promise<unknown> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return error;
  }
}

function throwing(): never {
  throw new Error("planted");
}

/** Lets what waits for a promise go on. */
const settled = (clock: FakeClock) => clock.advanceAsync(0);

describe("the decision of the provider", () => {
  it("is static where the feature is open to everybody, with or without a subject", async () => {
    const { ask } = await registered();
    for (const key of [undefined, "ann"]) {
      expect(await ask(key)).toMatchObject({ value: true, reason: "STATIC", variant: "on" });
    }
  });

  it("is a split where the percentage decides, by the subject's bucket", async () => {
    const { ask } = await registered({ percent: 50 });
    const values = new Set<boolean>();
    for (let i = 0; i < 20; i += 1) {
      const subject = `someone-${i}`;
      const value = bucketOf("salt", subject) < 50;
      values.add(value);
      const variant = value ? "on" : "off";
      expect(await ask(subject)).toMatchObject({ value, reason: "SPLIT", variant });
    }
    expect(values.size).toBe(2);
  });

  it("is in from the percentage above the subject's bucket on", async () => {
    const bucket = bucketOf("salt", "ann");
    const { ask, source } = await registered({ percent: bucket });
    expect(await ask("ann")).toMatchObject({ value: false, reason: "SPLIT" });
    source.set({ percent: bucket + 1 });
    expect(await ask("ann")).toMatchObject({ value: true, reason: "SPLIT" });
  });

  it("is a targeting match where the allowlist decides", async () => {
    const { ask } = await registered({ allowlist: ["ann"] });
    expect(await ask("ann")).toMatchObject({ value: true, reason: "TARGETING_MATCH" });
    expect(await ask("ben", true)).toMatchObject({ value: false, reason: "TARGETING_MATCH" });
  });

  it("asks the percentage of who is listed, unless the list includes", async () => {
    const flags = { allowlist: ["ann"], percent: 1, salt: "s" };
    expect(bucketOf("s", "ann")).toBeGreaterThan(1);
    const required = await registered(flags);
    expect(await required.ask("ann")).toMatchObject({ value: false, reason: "SPLIT" });
    const included = await registered(flags, { allowlistMode: "include" });
    expect(await included.ask("ann")).toMatchObject({ value: true, reason: "TARGETING_MATCH" });
    included.source.set({ settling: true });
    expect(await included.ask("ann")).toMatchObject({ value: false, reason: "SPLIT" });
  });

  it.each<[string, Partial<FeatureFlags>, string]>([
    ["off", { enabled: false }, "FLAG_OFF"],
    ["killed", { killed: true }, "KILLED"],
    ["at 0 percent", { percent: 0 }, "NOT_IN_ROLLOUT"],
  ])(
    "is disabled and false where the feature is %s, whatever the default",
    async (_, flags, why) => {
      const { ask } = await registered(flags);
      for (const key of [undefined, "ann", "\0"]) {
        const details = await ask(key, true);
        expect(details).toMatchObject({ value: false, reason: "DISABLED", variant: "off" });
        expect(details.flagMetadata).toEqual({ sluiceReason: why });
        expect(details.errorCode).toBeUndefined();
      }
    },
  );

  it("is stale and false once the flags are older than they may be, whatever the default", async () => {
    const { ask, clock, source } = await registered({}, { maxStalenessMs: 1000 });
    clock.advance(1000);
    expect(await ask("ann", true)).toMatchObject({ value: true, reason: "STATIC" });
    clock.advance(1);
    expect(await ask("ann", true)).toMatchObject({ value: false, reason: "STALE" });
    source.set({ killed: true });
    expect(await ask("ann", true)).toMatchObject({ value: false, reason: "DISABLED" });
  });

  it("is closed to everybody by an empty allowlist, also without a subject", async () => {
    const { ask } = await registered({ allowlist: [] });
    for (const key of [undefined, "ann"]) expect((await ask(key, true)).value).toBe(false);
  });

  it("is false and no error where the source throws", async () => {
    const clock = new FakeClock();
    const { ask } = await registered(
      {},
      { source: { ...fakeFlagSource({ clock }), read: throwing, confirmedAt: throwing }, clock },
    );
    expect(await ask("ann", true)).toMatchObject({ value: false, reason: "STALE" });
  });

  it("carries the row's version, where there is one", async () => {
    const { ask, source } = await registered({ version: 7 });
    expect((await ask("ann")).flagMetadata).toEqual({ version: 7 });
    source.set({ killed: true, version: 8 });
    expect((await ask("ann")).flagMetadata).toEqual({ version: 8, sluiceReason: "KILLED" });
    source.set({ killed: false, version: undefined });
    expect((await ask("ann")).flagMetadata).toEqual({});
  });

  it("lets nobody in whom the flags keep out, whatever they are", async () => {
    const { ask, source } = await registered();
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          enabled: fc.boolean(),
          killed: fc.boolean(),
          percent: fc.constantFrom(0, 1, 30, 50, 99, 100),
          allowlist: fc.option(fc.subarray(["ann", "ben", "Ω"]), { nil: undefined }),
        }),
        fc.constantFrom("ann", "ben", "Ω", "cid", "dan"),
        async (flags, subject) => {
          source.set(flags);
          const listed = flags.allowlist?.includes(subject) ?? true;
          const isIn = bucketOf("salt", subject) < flags.percent;
          const expected = flags.enabled && !flags.killed && listed && isIn;
          expect((await ask(subject, !expected)).value).toBe(expected);
        },
      ),
    );
  });
});

describe("an error of the provider", () => {
  it("is a missing targeting key only where a subject is needed", async () => {
    const { ask, source } = await registered({ percent: 50 });
    const missing = { reason: "ERROR", errorCode: ErrorCode.TARGETING_KEY_MISSING };
    for (const key of [undefined, ""]) {
      expect(await ask(key, true)).toMatchObject({ ...missing, value: true });
      expect(await ask(key, false)).toMatchObject({ ...missing, value: false });
    }
    source.set({ percent: 100, allowlist: ["ann"] });
    expect(await ask()).toMatchObject(missing);
  });

  it.each([["a\0b"], ["\ud800"], ["x".repeat(1025)], [5], [{ id: "ann" }]])(
    "is an invalid context for a key that nobody could hash: %j",
    async (key) => {
      const { ask } = await registered({ percent: 50 });
      const details = await ask(key, true);
      expect(details).toMatchObject({ value: true, errorCode: ErrorCode.INVALID_CONTEXT });
      expect(details.errorMessage).toContain("well-formed text without NUL");
    },
  );

  it("is a flag that is not found, for what is not among the features", async () => {
    const { client } = await registered({}, { features: ["chat_ai"] });
    const missing = { errorCode: ErrorCode.FLAG_NOT_FOUND };
    expect(await client.getBooleanDetails("other_ai", true)).toMatchObject({
      ...missing,
      value: true,
    });
    expect(await client.getStringDetails("other_ai", "mine")).toMatchObject({
      ...missing,
      value: "mine",
    });
    expect((await client.getBooleanDetails("chat_ai", false)).value).toBe(true);
  });

  it("is a mismatch of types for whatever is no boolean, with the caller's default", async () => {
    const { client } = await registered();
    const mismatch = { reason: "ERROR", errorCode: ErrorCode.TYPE_MISMATCH };
    expect(await client.getStringDetails("chat_ai", "a")).toMatchObject({
      ...mismatch,
      value: "a",
    });
    expect(await client.getNumberDetails("chat_ai", 4)).toMatchObject({ ...mismatch, value: 4 });
    expect(await client.getObjectDetails("chat_ai", { a: 1 })).toMatchObject({
      ...mismatch,
      value: { a: 1 },
    });
  });
});

// Sources: evaluation.feature and provider-tck of the OpenFeature specification, their boolean rows.
describe("what the specification asks of a provider", () => {
  const features = ["boolean-flag", "boolean-zero-flag"];

  it("resolves a boolean with its variant and reason, and without an error", async () => {
    const { client } = await registered({}, { features });
    const details = await client.getBooleanDetails("boolean-flag", false);
    expect(details).toMatchObject({ value: true, variant: "on", reason: "STATIC" });
    expect(details).not.toHaveProperty("errorCode");
    expect(details).not.toHaveProperty("errorMessage");
  });

  it("takes false for a value, not for an absence", async () => {
    const { client } = await registered({ enabled: false }, { features });
    expect(await client.getBooleanValue("boolean-zero-flag", true)).toBe(false);
  });

  it("reports an error and the code default for an unknown flag and for another type", async () => {
    const { client } = await registered({}, { features });
    expect(await client.getStringDetails("missing-flag", "fallback")).toMatchObject({
      value: "fallback",
      reason: "ERROR",
      errorCode: "FLAG_NOT_FOUND",
    });
    expect(await client.getNumberDetails("boolean-flag", 0.1)).toMatchObject({
      value: 0.1,
      reason: "ERROR",
      errorCode: "TYPE_MISMATCH",
    });
  });

  it("signals a change with the flag's name, and the value is the new one", async () => {
    const { client, clock, source } = await registered({}, { features });
    const changed: unknown[] = [];
    client.addHandler(ProviderEvents.ConfigurationChanged, (details) =>
      changed.push(...(details?.flagsChanged ?? [])),
    );
    source.set({ enabled: false });
    await settled(clock);
    expect(changed).toContain("boolean-flag");
    expect(await client.getBooleanValue("boolean-flag", true)).toBe(false);
  });

  it("reports an error within ten seconds where it cannot reach its flags", async () => {
    const clock = new FakeClock();
    const domain = randomUUID();
    const client = OpenFeature.getClient(domain);
    let errors = 0;
    client.addHandler(ProviderEvents.Error, () => (errors += 1));
    const { source } = unconfirmed(clock);
    const failed = errorOf(
      OpenFeature.setProviderAndWait(domain, sluiceProvider({ source, clock, features })),
    );
    await clock.advanceAsync(10_000);
    await failed;
    expect(errors).toBe(1);
    expect(client.providerStatus).toBe(ProviderStatus.ERROR);
    expect(await client.getBooleanDetails("boolean-flag", false)).toMatchObject({
      value: false,
      reason: "ERROR",
    });
  });
});

describe("the readiness of the provider", () => {
  it("waits for the first confirmation, and answers with the default until then", async () => {
    const clock = new FakeClock();
    const { source, confirm } = unconfirmed(clock);
    const domain = randomUUID();
    const ready = OpenFeature.setProviderAndWait(domain, sluiceProvider({ source, clock }));
    const client = OpenFeature.getClient(domain);
    const before = await client.getBooleanDetails("chat_ai", false);
    expect(before.errorCode).toBe(ErrorCode.PROVIDER_NOT_READY);
    confirm();
    await clock.advanceAsync(250);
    await ready;
    expect(client.providerStatus).toBe(ProviderStatus.READY);
    expect(await client.getBooleanValue("chat_ai", false)).toBe(true);
  });

  it("fails to start after a while, and becomes ready with the first confirmation", async () => {
    const clock = new FakeClock();
    const { source, inner, confirm } = unconfirmed(clock);
    const domain = randomUUID();
    const provider = sluiceProvider({ source, clock, readyTimeoutMs: 1000 });
    const rejected = errorOf(OpenFeature.setProviderAndWait(domain, provider));
    await clock.advanceAsync(1000);
    expect(await rejected).toMatchObject({ code: ErrorCode.PROVIDER_NOT_READY });
    const client = OpenFeature.getClient(domain);
    const details = await client.getBooleanDetails("chat_ai", true);
    expect(details).toMatchObject({ value: true, errorCode: ErrorCode.PROVIDER_NOT_READY });
    let changes = 0;
    client.addHandler(ProviderEvents.ConfigurationChanged, () => (changes += 1));
    inner.set({ killed: true });
    expect(await client.getBooleanDetails("chat_ai", true)).toMatchObject({
      value: false,
      reason: "DISABLED",
    });
    inner.set({ killed: false });
    await settled(clock);
    expect(changes).toBe(0);
    let ready = 0;
    client.addHandler(ProviderEvents.Ready, () => (ready += 1));
    confirm();
    await clock.advanceAsync(250);
    expect(ready).toBe(1);
    expect(client.providerStatus).toBe(ProviderStatus.READY);
    expect(await client.getBooleanValue("chat_ai", false)).toBe(true);
  });

  it("ends its wait when it is closed, and leaves no timer", async () => {
    const clock = new FakeClock();
    const provider = sluiceProvider({ source: unconfirmed(clock).source, clock });
    const rejected = errorOf(provider.initialize?.());
    await provider.onClose?.();
    expect(await rejected).toMatchObject({ code: ErrorCode.PROVIDER_NOT_READY });
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("the events of the provider", () => {
  it("tell that the flags went stale, and that they are confirmed again", async () => {
    const { client, clock, source } = await registered({}, { maxStalenessMs: 1000 });
    const heard: string[] = [];
    client.addHandler(ProviderEvents.Stale, () => heard.push("stale"));
    clock.advance(3000);
    await settled(clock);
    expect(heard).toEqual(["stale"]);
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
    client.addHandler(ProviderEvents.Ready, () => heard.push("ready"));
    source.confirm();
    clock.advance(250);
    await settled(clock);
    expect(heard).toEqual(["stale", "ready"]);
    expect(client.providerStatus).toBe(ProviderStatus.READY);
  });

  it("tell of a change, and which features it changed where they are given", async () => {
    const named = await registered({}, { features: ["chat_ai"] });
    const unnamed = await registered();
    for (const { client, source, expected } of [
      { ...named, expected: ["chat_ai"] },
      { ...unnamed, expected: undefined },
    ]) {
      const changes: (readonly string[] | undefined)[] = [];
      client.addHandler(ProviderEvents.ConfigurationChanged, (details) =>
        changes.push(details?.flagsChanged),
      );
      source.set({ killed: true });
      await settled(named.clock);
      expect(changes).toEqual([expected]);
    }
  });

  it("end when the provider is replaced, and the source stays open", async () => {
    const { client, clock, source, domain } = await registered();
    let changes = 0;
    let told = 0;
    source.onChange(() => (told += 1));
    client.addHandler(ProviderEvents.ConfigurationChanged, () => (changes += 1));
    const other = new FakeClock();
    await OpenFeature.setProviderAndWait(
      domain,
      sluiceProvider({ source: fakeFlagSource({ clock: other }), clock: other }),
    );
    expect(clock.pendingTimers).toBe(0);
    source.set({ killed: true });
    await settled(clock);
    expect([changes, told]).toEqual([0, 1]);
  });
});

describe("what the SDK does around the provider", () => {
  it("runs hooks of every stage, with the decision's details", async () => {
    const { client, source } = await registered({ percent: 50, version: 3 });
    const stages: string[] = [];
    const hook: Hook = {
      before: () => void stages.push("before"),
      after: (_, details) => void stages.push(`after ${details.reason} ${details.variant}`),
      error: (_, error) => void stages.push(`error ${(error as { code?: string }).code}`),
      finally: (_, details) => void stages.push(`finally ${details.reason}`),
    };
    client.addHooks(hook);
    source.set({ percent: 100 });
    await client.getBooleanValue("chat_ai", false);
    source.set({ percent: 50 });
    await client.getBooleanValue("chat_ai", false);
    expect(stages).toEqual([
      "before",
      "after STATIC on",
      "finally STATIC",
      "before",
      "error TARGETING_KEY_MISSING",
      "finally ERROR",
    ]);
  });

  it("merges the targeting key: the hook's over the call's over the client's over the API's", async () => {
    const { client } = await registered({ allowlist: ["wanted"] });
    const value = (context?: EvaluationContext, hooks: Hook[] = []) =>
      client.getBooleanValue("chat_ai", false, context, { hooks });
    OpenFeature.setContext({ targetingKey: "wanted" });
    expect(await value()).toBe(true);
    client.setContext({ targetingKey: "other" });
    expect(await value()).toBe(false);
    expect(await value({ targetingKey: "wanted" })).toBe(true);
    const hook: Hook = { before: () => ({ targetingKey: "other" }) };
    expect(await value({ targetingKey: "wanted" }, [hook])).toBe(false);
  });

  it("names the provider", async () => {
    const { client } = await registered();
    expect(client.metadata.providerMetadata.name).toBe("sluice");
  });
});

describe("the options of the provider", () => {
  it.each<[object, string]>([
    [{ source: {} }, "sluiceProvider.source"],
    [{ clock: undefined }, "sluiceProvider.clock"],
    [{ maxStalenessMs: 0 }, "sluiceProvider.maxStalenessMs"],
    [{ features: [""] }, "sluiceProvider.features.0"],
    [{ allowlistMode: "exclude" }, "sluiceProvider.allowlistMode"],
    [{ stale: 1 }, "sluiceProvider.stale"],
  ])("are turned down by name: %o", (change, option) => {
    const clock = new FakeClock();
    const options = { source: fakeFlagSource({ clock }), clock, ...change };
    expect(() => sluiceProvider(options)).toThrow(
      expect.objectContaining({ code: "SLUICE_CONFIG", option }),
    );
  });
});
