import type { ProviderConfig } from "@sluice/contract";
import { envFlags, staticFlags } from "@sluice/guard";
import {
  chatCompletion,
  errorReply,
  fakeProvider,
  recordingSink,
  sendJson,
  startUpstream,
  valueReply,
  type FakeCall,
} from "@sluice/testkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import { readPage } from "../read-page.ts";
import { readText } from "../repository.ts";
import {
  askFor,
  azureProvider,
  guardByRequest,
  guardByWeight,
  guardOverTwo,
  guardWithOneCall,
  liveRoute,
  type Question,
} from "./providers.ts";

const page = readText("docs/how-to/providers.md");
const reply = { status: "OK", reply: "In the drawer." };
const question: Question = { text: "Where is the key?" };
const usage = { inputTokens: 12, outputTokens: 9 };
const answer = (call: FakeCall<Question>): void => call.reply(valueReply(reply, usage));
const spent = (call: FakeCall<Question>): void => call.reply(errorReply("PROVIDER_QUOTA"));
const named = (name: string, onCall = answer) =>
  fakeProvider<Question>({ name, model: "gpt-4o-mini", onCall });
const open = { help_ai: { enabled: true } };

afterEach(() => {
  vi.unstubAllEnvs();
});

async function askOverTwo(failover: string | undefined) {
  vi.stubEnv("FEATURE_HELP_AI", "true");
  vi.stubEnv("FF_PROVIDER_FAILOVER_ENABLED", failover);
  const sink = recordingSink();
  const guard = guardOverTwo(named("openai", spent), named("azure"), envFlags(), [sink.sink]);
  const outcome = await guard.run(question, { subject: "user-1" });
  guard.close();
  return { outcome, event: sink.of("outcome")[0] };
}

describe("the route of the page", () => {
  it("calls only the first choice while the switch is off", async () => {
    const { outcome } = await askOverTwo(undefined);
    expect(outcome).toMatchObject({
      status: "FAILED",
      failure: { code: "PROVIDER_QUOTA" },
      record: { selectedProvider: "openai", fallbackUsed: false },
    });
  });

  it("lets the second stand in while it is on, and tells it as the page shows", async () => {
    const { outcome, event } = await askOverTwo("true");
    expect(outcome).toMatchObject({ status: "SUCCEEDED", value: reply });
    const shown = readPage(page).blocks.find(({ language }) => language === "json")?.text ?? "";
    const { attempts, ...members } = JSON.parse(shown) as { readonly attempts: object[] };
    expect(event).toMatchObject(members);
    expect(event?.attempts).toHaveLength(attempts.length);
    for (const [at, attempt] of attempts.entries()) {
      const { latency_ms, ...told } = attempt as { readonly latency_ms: number };
      expect(latency_ms).toBeGreaterThan(0);
      expect(event?.attempts[at]?.latency_ms).toBeGreaterThanOrEqual(0);
      expect(event?.attempts[at]).toMatchObject(told);
    }
  });
});

it("a run that has one call has none for another provider", async () => {
  const guard = guardWithOneCall([named("openai", spent), named("azure")], staticFlags(open));
  expect((await guard.run(question, { subject: "user-1" })).record).toMatchObject({
    attempts: [{ provider: "openai" }],
    skipped: [{ provider: "azure", why: "budget" }],
  });
  guard.close();
});

it("the first four calls of a process are not retried, the fifth is", async () => {
  const provider = named("openai", (call) => call.reply(errorReply("PROVIDER_UNAVAILABLE")));
  const guard = guardOverTwo(provider, named("azure"), staticFlags(open), [() => undefined]);
  const calls: number[] = [];
  for (let i = 0; i < 6; i += 1) {
    const outcome = await guard.run(question, { subject: "user-1" });
    calls.push(outcome.record.attempts.length);
  }
  expect(calls).toEqual([1, 1, 1, 1, 2, 1]);
  guard.close();
});

it("who cools down is passed over, and the next is the choice", async () => {
  const openai = named("openai", spent);
  const guard = guardByWeight([openai, named("azure")], staticFlags(open));
  for (let i = 0; i < 60; i += 1) await guard.run(question, { subject: `user-${i}` });
  const { record } = await guard.run(question, { subject: "user-0" });
  expect(openai.calls).toHaveLength(1);
  expect(record).toMatchObject({ selectedProvider: "azure", fallbackUsed: false });
  guard.close();
});

it("nine subjects in ten meet the first of the weighted providers, always the same ones", async () => {
  const providers = [named("openai"), named("azure")];
  const guard = guardByWeight(providers, staticFlags(open));
  const subjects = Array.from({ length: 500 }, (_, at) => `user-${at}`);
  const draw = async (): Promise<readonly (string | undefined)[]> =>
    Promise.all(
      subjects.map(
        async (subject) => (await guard.run(question, { subject })).record.selectedProvider,
      ),
    );
  const first = await draw();
  expect(await draw()).toEqual(first);
  const share = first.filter((name) => name === "openai").length / subjects.length;
  expect(share).toBeGreaterThan(0.85);
  expect(share).toBeLessThan(0.95);
  guard.close();
});

it("a request is sent to the provider it names, and a route that changes is obeyed", async () => {
  const { source, replace } = liveRoute([{ provider: "openai" }, { provider: "azure" }]);
  const guard = guardByRequest([named("openai"), named("azure")], source, staticFlags(open));
  expect((await askFor(guard, question, "user-1")).record.selectedProvider).toBe("azure");
  replace([{ provider: "openai" }, { provider: "azure", enabled: false }]);
  expect((await askFor(guard, question, "user-1")).record).toMatchObject({
    requestedProvider: "azure",
    selectedProvider: "openai",
    skipped: [{ provider: "azure", why: "disabled" }],
  });
  // Malformed: the last good route stays, but whom it disables is disabled.
  replace([{ provider: "openai", enabled: false }, { provider: "nobody" }] as ProviderConfig[]);
  expect(await askFor(guard, question, "user-1")).toMatchObject({ reason: "CIRCUIT_OPEN" });
  guard.close();
});

it("Azure is asked at its deployment's address, with its key in its header", async () => {
  const upstream = await startUpstream((res) =>
    sendJson(res, chatCompletion(JSON.stringify(reply))),
  );
  const azure = azureProvider(upstream.url, async (name) => `key-of-${name}`);
  const guard = guardByWeight([named("openai"), azure], staticFlags(open));
  const outcomes = await Promise.all(
    Array.from({ length: 60 }, (_, at) => guard.run(question, { subject: `user-${at}` })),
  );
  expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(["SUCCEEDED"]));
  const [request] = upstream.requests;
  expect(request?.path).toBe("/openai/deployments/mini/chat/completions?api-version=2024-10-21");
  expect(request?.headers).toMatchObject({ "api-key": "key-of-azure" });
  guard.close();
  await upstream.close();
});
