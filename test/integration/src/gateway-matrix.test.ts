import { setImmediate as turn } from "node:timers/promises";
import { switchNames, type MetricSample, type Switches } from "@sluice/contract";
import { createChatGateway, type ChatInput } from "@sluice/gateway";
import {
  createGuard,
  defineContract,
  defineTool,
  memoryAdmission,
  staticFlags,
  type MemoryAdmissionOptions,
} from "@sluice/guard";
import { errorReply, FakeClock, fakeProvider, textReply, type FakeCall } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { z } from "zod";

/*
 * All 1,024 combinations of the ten switches, each in eight situations, against a table that is written down
 * and not computed. A row's pattern has one character for each switch, in the order of their names in the
 * design: enabled, shadow, admission; of a user in flight, of all in flight, messages, tools; tool queue,
 * failover, closed on store loss. `-` is either.
 */
type Rows = Readonly<Record<string, string>>;
const legacyAnswers = "legacy; unseen";

const tables = {
  "nothing is in the way": {
    "0---------": legacyAnswers,
    "11--------": "legacy; check: allow",
    "10--------": "ai",
  },
  "the user has as many requests in flight as allowed": {
    "0---------": legacyAnswers,
    "11--------": "legacy; check: allow, would USER_IN_FLIGHT",
    "100-------": "ai, would USER_IN_FLIGHT",
    "1010------": "ai, would USER_IN_FLIGHT",
    "1011------": "429 USER_IN_FLIGHT",
  },
  "as many requests are in flight as allowed": {
    "0---------": legacyAnswers,
    "11--------": "legacy; check: allow, would GLOBAL_IN_FLIGHT",
    "100-------": "ai, would GLOBAL_IN_FLIGHT",
    "101-0-----": "ai, would GLOBAL_IN_FLIGHT",
    "101-1-----": "429 GLOBAL_IN_FLIGHT",
  },
  "as many messages came as allowed": {
    "0---------": legacyAnswers,
    "11--------": "legacy; check: allow, would MESSAGE_RATE",
    "100-------": "ai, would MESSAGE_RATE",
    "101--0----": "ai, would MESSAGE_RATE",
    "101--1----": "429 MESSAGE_RATE",
  },
  "as many tools were called as allowed": {
    "0---------": legacyAnswers,
    "11--------": "legacy; check: allow",
    "100-------": "ai; tools: ran, ran would TOOL_RATE",
    "101---0---": "ai; tools: ran, ran would TOOL_RATE",
    "101---1---": "ai; tools: ran, TOOL_RATE",
  },
  "more tools are called at once than may run": {
    "0---------": legacyAnswers,
    "11--------": "legacy; check: allow",
    "10-----0--": "ai; tools: ran, ran would TOOL_QUEUE_FULL",
    "10-----1--": "ai; tools: ran, TOOL_QUEUE_FULL",
  },
  "the first provider is down": {
    "0---------": legacyAnswers,
    "11--------": "legacy; check: allow",
    "10------0-": "502 PROVIDER_UNAVAILABLE",
    "10------1-": "ai by second",
  },
  "the admission store is lost": {
    "0---------": legacyAnswers,
    "11-------0": "legacy; check: allow, indeterminate STORE_UNAVAILABLE",
    "11-------1": "legacy; check: reject, indeterminate STORE_UNAVAILABLE",
    "10-------0": "ai",
    "10-------1": "503 STORE_UNAVAILABLE",
  },
} as const satisfies Readonly<Record<string, Rows>>;

type Situation = keyof typeof tables;

const combinations: readonly string[] = Array.from({ length: 2 ** switchNames.length }, (_, bits) =>
  bits.toString(2).padStart(switchNames.length, "0"),
);

const matches = (pattern: string, combination: string): boolean =>
  Array.from(pattern).every((wanted, place) => wanted === "-" || wanted === combination[place]);

const switchesOf = (combination: string): Switches =>
  Object.fromEntries(
    switchNames.map((name, place) => [name, combination[place] === "1"]),
  ) as Switches;

const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string() }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB"), reply: z.string() }),
  text: { field: "reply", maxChars: 1000 },
});

const limits: Readonly<Partial<Record<Situation, MemoryAdmissionOptions>>> = {
  "the user has as many requests in flight as allowed": { userInFlight: { limit: 1 } },
  "as many requests are in flight as allowed": { globalInFlight: { limit: 1 } },
  "as many messages came as allowed": { messageRate: { count: 1, perMs: 3_600_000 } },
  "as many tools were called as allowed": { toolRate: { count: 1, perMs: 3_600_000 } },
};

/** As many tool calls as asked for in the first turn, then the answer. */
const callsTools =
  (count: number) =>
  (call: FakeCall<ChatInput>): void => {
    if (call.asked.steps.length > 0) call.reply(textReply("done"));
    else {
      const toolCalls = Array.from({ length: count }, (_, id) => ({
        id: `call${id}`,
        name: "clock",
        arguments: "{}",
      }));
      call.reply({ ok: true, output: { kind: "text", text: "" }, toolCalls });
    }
  };

function open(situation: Situation, combination: string) {
  const clock = new FakeClock();
  const samples: MetricSample[] = [];
  let stays = false;
  const wantsTools = situation.includes("tools");
  const first = fakeProvider<ChatInput>({
    name: "first",
    onCall: (call) => {
      if (stays) return;
      if (situation === "the first provider is down")
        call.reply(errorReply("PROVIDER_UNAVAILABLE"));
      else if (wantsTools) callsTools(2)(call);
      else call.reply(textReply("done"));
    },
  });
  const second = fakeProvider<ChatInput>({
    name: "second",
    onCall: (call) => call.reply(textReply("done")),
  });
  const store = memoryAdmission({ ...limits[situation], clock });
  const lost = { ...store, acquire: () => "unavailable" as const };
  const isLost = situation === "the admission store is lost";
  const guard = createGuard({
    feature: "chat_ai",
    contract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: (_chat: ChatInput) => ({ status: "STUB", reply: "stub" }),
    route: {
      providers: [first, second],
      candidates: [
        { provider: "first", environment: "prod", isDefault: true, maxRetries: 0 },
        { provider: "second", environment: "prod" },
      ],
    },
    onFailure: "failed",
    flags: staticFlags({ chat_ai: { enabled: true } }, { switches: switchesOf(combination) }),
    admission: isLost ? { ...lost, apart: () => lost } : store,
    tools: {
      clock: defineTool({ description: "the time", input: z.object({}), run: () => "noon" }),
    },
    ...(situation === "more tools are called at once than may run" && {
      toolQueue: { concurrency: 1, maxWaiting: 0 },
    }),
    metrics: (sample) => void samples.push(sample),
    openTelemetry: false,
    clock,
  });
  const gateway = createChatGateway({ guard, clock });

  /** What one request comes to, as far as a client and the metrics can tell. */
  const ask = async (legacyEnds: Promise<void>): Promise<string> => {
    const { name, switches } = gateway.stage();
    const body = { messages: [{ role: "user", content: "hi" }] };
    if (name === "legacy") return "legacy; unseen";
    if (name === "shadow") {
      const watched = gateway.shadow.ticket()?.watch({
        accept: undefined,
        subject: () => "alice",
        request: () => ({}),
        switches,
        copied: Promise.resolve({ parse: async () => ({ body }) }),
        legacy: legacyEnds.then(() => ({
          status: 200,
          contentType: "application/json",
          body: undefined,
          complete: true,
          latencyMs: 1,
        })),
      });
      await watched;
      return "legacy";
    }
    const answer = await gateway.answer({
      body,
      accept: undefined,
      subject: "alice",
      request: () => ({}),
      switches,
      hasLegacy: true,
    });
    if (answer.kind === "stream" || answer.outcome === undefined) return answer.kind;
    const { outcome } = answer;
    if (answer.kind === "legacy") return `legacy by ${outcome.status}`;
    const { status } = answer.answer;
    if (outcome.status === "REJECTED") return `${status} ${outcome.reason}`;
    if (outcome.status === "FAILED") return `${status} ${outcome.failure.code}`;
    const { fallbackProvider, tools } = outcome.record;
    const would = outcome.decision.trail.flatMap(({ verdict, reason }) =>
      verdict === "would_reject" && reason !== undefined ? [`, would ${reason}`] : [],
    );
    const ran = tools.map(
      (tool) => tool.code ?? `ran${tool.would === undefined ? "" : ` would ${tool.would}`}`,
    );
    return [
      outcome.path,
      fallbackProvider === undefined ? "" : ` by ${fallbackProvider}`,
      ...would,
      ran.length === 0 ? "" : `; tools: ${ran.join(", ")}`,
    ].join("");
  };

  const checked = async (): Promise<string> => {
    // Samples are handed out in a turn of their own.
    await turn();
    const check = samples.findLast((sample) => sample.kind === "check");
    if (check?.kind !== "check") return "";
    const verdicts = check.admission.flatMap(({ verdict, reason }) =>
      verdict === "allow" ? [] : [`, ${verdict === "would_reject" ? "would" : verdict} ${reason}`],
    );
    return `; check: ${check.effect}${verdicts.join("")}`;
  };

  return {
    ask,
    checked,
    gateway,
    end() {
      stays = false;
      for (const call of first.calls) call.reply(textReply("done"));
    },
    stay() {
      stays = true;
    },
    /** What waits for a turn has it, and what the shadow has kept back is done. */
    passes: () => clock.advanceAsync(50),
    calls: () => first.calls.length + second.calls.length,
    close: () => guard.close(),
  };
}

const takesOneBefore: readonly Situation[] = [
  "the user has as many requests in flight as allowed",
  "as many requests are in flight as allowed",
];

async function outcomeOf(situation: Situation, combination: string): Promise<string> {
  const one = open(situation, combination);
  const legacyStays = Promise.withResolvers<void>();
  let before: Promise<string> | undefined;
  if (takesOneBefore.includes(situation)) {
    one.stay();
    before = one.ask(legacyStays.promise);
    // It has its place before the next one comes.
    await one.passes();
  } else if (situation === "as many messages came as allowed") {
    before = one.ask(Promise.resolve());
    await one.passes();
    await before;
  }
  const asked = one.ask(legacyStays.promise);
  await one.passes();
  legacyStays.resolve();
  one.end();
  await one.passes();
  const [seen] = await Promise.all([asked, before]);
  const told = seen === "legacy" ? `legacy${await one.checked()}` : seen;
  const calls = one.calls();
  one.close();
  return seen.startsWith("legacy") && calls > 0 ? `${told}, and called a model` : told;
}

describe("the matrix of switches", { timeout: 120_000 }, () => {
  it.each(Object.entries(tables))("%s: has one row for each combination", (_name, rows) => {
    const patterns = Object.keys(rows);
    const matched = combinations.map(
      (combination) => patterns.filter((pattern) => matches(pattern, combination)).length,
    );
    expect(matched).toEqual(combinations.map(() => 1));
  });

  it.each(Object.entries(tables) as readonly (readonly [Situation, Rows])[])(
    "%s: every combination does what the table says",
    async (situation, rows) => {
      const seen: Record<string, string> = {};
      const expected: Record<string, string | undefined> = {};
      for (const combination of combinations) {
        seen[combination] = await outcomeOf(situation, combination);
        const row = Object.entries(rows).find(([pattern]) => matches(pattern, combination));
        expected[combination] = row?.[1];
      }
      expect(seen).toEqual(expected);
    },
  );
});
