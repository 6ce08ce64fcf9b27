import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import {
  faultOf,
  lockOf,
  readLock,
  toSchemaText,
  writeVersion,
} from "../../scripts/event-schema.ts";
import { failureCodes } from "../failure.ts";
import { routeStrategies, skipReasons } from "../provider-config.ts";
import { Reason } from "../reason.ts";
import { toolFailures } from "../tool.ts";
import {
  alertEventSchema,
  eventSchema,
  eventSchemaVersion,
  type AlertEvent,
  type DecisionEvent,
  type DisabledNoopEvent,
  type OutcomeEvent,
  type SluiceEvent,
} from "./events.ts";

const base = { v: eventSchemaVersion, at_ms: 1_790_000_000_000, feature: "chat_ai" } as const;

const decision: DecisionEvent = {
  ...base,
  event: "decision",
  decision_id: "d_1",
  effect: "divert",
  gate: "rollout",
  reason: "NOT_IN_ROLLOUT",
  flag_version: 7,
  trail: [
    { gate: "feature-flag", verdict: "allow" },
    { gate: "rollout", verdict: "divert", reason: "NOT_IN_ROLLOUT" },
  ],
};

const outcome: OutcomeEvent = {
  ...base,
  event: "outcome",
  decision_id: "d_1",
  outcome: "FAILED",
  path: "stub",
  failure_code: "STREAM_CUT",
  request_id: "r_1",
  requested_provider: "azure",
  selected_provider: "openai",
  route_strategy: "requested",
  fallback_provider: "groq",
  fallback_used: true,
  prompt_template_version: "2026-11",
  latency_ms: 1203.5,
  first_content_ms: 1100,
  attempts: [
    { provider: "openai", model: "gpt-x", code: "PROVIDER_TIMEOUT", latency_ms: 1000 },
    {
      provider: "groq",
      code: "STREAM_CUT",
      latency_ms: 200,
      first_content_ms: 100,
      http_status: 200,
      input_tokens: 10,
      output_tokens: 0,
      cost_nano_usd: 1500,
    },
  ],
  skipped: [{ provider: "azure", why: "circuit_open" }, { why: "not_configured" }],
  tools: [
    { tool: "search", wait_ms: 0, latency_ms: 12.5, would: "TOOL_RATE" },
    { tool: "search", code: "TOOL_TIMEOUT", wait_ms: 3, latency_ms: 5000 },
  ],
  input_tokens: 10,
  output_tokens: 0,
  cost_nano_usd: 1500,
  measures: { slotsMade: 4, cacheHit: true, tier: "gold" },
};

const noop: DisabledNoopEvent = { ...base, event: "disabled_noop", reason: "FLAG_OFF" };

const alert: AlertEvent = {
  ...base,
  event: "alert",
  code: "FLAG_MALFORMED",
  message: "CHAT_AI_ROLLOUT_PERCENT: expected an integer from 0 to 100, read as 0",
  variable: "CHAT_AI_ROLLOUT_PERCENT",
  figures: { readAs: 0 },
};

const events: readonly SluiceEvent[] = [decision, outcome, noop, alert];

describe("an event", () => {
  it.each(events)("of the kind $event parses as it is", (event) => {
    expect(eventSchema.parse(event)).toEqual(event);
  });

  it.each(events)("of the kind $event may be a shadow's, and says nothing else of it", (event) => {
    expect(eventSchema.parse({ ...event, shadow: true })).toEqual({ ...event, shadow: true });
    expect(eventSchema.safeParse({ ...event, shadow: false }).success).toBe(false);
  });

  it("of an outcome takes every path, and no other", () => {
    for (const path of ["ai", "stub", "legacy", "none"]) {
      expect(eventSchema.safeParse({ ...outcome, path }).success, path).toBe(true);
    }
    expect(eventSchema.safeParse({ ...outcome, path: "other" }).success).toBe(false);
  });

  it.each(events)("I5 of the kind $event has no place for content", (event) => {
    for (const field of ["prompt", "input", "output", "text", "value", "subject", "error"]) {
      expect(eventSchema.safeParse({ ...event, [field]: "sentinel" }).success, field).toBe(false);
    }
  });

  it("I5 has no place for content in its nested parts", () => {
    const attempt = { provider: "openai", latency_ms: 1, error: "sentinel" };
    expect(eventSchema.safeParse({ ...outcome, attempts: [attempt] }).success).toBe(false);
    const skip = { why: "disabled", error: "sentinel" };
    expect(eventSchema.safeParse({ ...outcome, skipped: [skip] }).success).toBe(false);
    const tool = { tool: "search", wait_ms: 0, latency_ms: 1, arguments: "sentinel" };
    expect(eventSchema.safeParse({ ...outcome, tools: [tool] }).success).toBe(false);
    const entry = { gate: "budget", verdict: "allow", detail: "sentinel" };
    expect(eventSchema.safeParse({ ...decision, trail: [entry] }).success).toBe(false);
    expect(eventSchema.safeParse({ ...outcome, measures: { note: "x".repeat(65) } }).success).toBe(
      false,
    );
    expect(eventSchema.safeParse({ ...outcome, measures: { note: { a: 1 } } }).success).toBe(false);
  });

  it("takes every reason, code and strategy, and no other", () => {
    for (const reason of Object.values(Reason)) {
      expect(eventSchema.safeParse({ ...noop, reason }).success, reason).toBe(true);
    }
    for (const failure_code of failureCodes) {
      expect(eventSchema.safeParse({ ...outcome, failure_code }).success, failure_code).toBe(true);
    }
    for (const why of skipReasons) {
      expect(eventSchema.safeParse({ ...outcome, skipped: [{ why }] }).success, why).toBe(true);
    }
    for (const code of toolFailures) {
      const tools = [{ tool: "search", code, wait_ms: 0, latency_ms: 0 }];
      expect(eventSchema.safeParse({ ...outcome, tools }).success, code).toBe(true);
    }
    for (const route_strategy of routeStrategies) {
      expect(eventSchema.safeParse({ ...outcome, route_strategy }).success).toBe(true);
    }
    expect(eventSchema.safeParse({ ...noop, reason: "SOMETHING" }).success).toBe(false);
    expect(eventSchema.safeParse({ ...outcome, failure_code: "SOMETHING" }).success).toBe(false);
    expect(eventSchema.safeParse({ ...outcome, skipped: [{ why: "SOMETHING" }] }).success).toBe(
      false,
    );
    expect(eventSchema.safeParse({ ...outcome, route_strategy: "SOMETHING" }).success).toBe(false);
  });

  it.each([
    ["a negative latency", { ...outcome, latency_ms: -1 }],
    ["a latency that is no number", { ...outcome, latency_ms: Number.NaN }],
    ["half a token", { ...outcome, input_tokens: 0.5 }],
    ["an id with a line break", { ...decision, decision_id: "d\n1" }],
    ["an id of another alphabet", { ...decision, decision_id: "d 1" }],
    ["no id of the request", { ...outcome, request_id: undefined }],
    ["an id of the request that may be content", { ...outcome, request_id: "what is 2+2?" }],
    ["the version before", { ...noop, v: eventSchemaVersion - 1 }],
    ["a feature that is no name", { ...noop, feature: "Chat AI" }],
    ["another version", { ...noop, v: eventSchemaVersion + 1 }],
    ["an unknown kind", { ...noop, event: "other" }],
    ["a message as long as a text", { ...alert, message: "x".repeat(513) }],
  ])("is refused with %s", (_, event) => {
    expect(eventSchema.safeParse(event).success).toBe(false);
  });
});

describe("the checked-in JSON Schema of events", () => {
  const directory = fileURLToPath(new URL("../../schema/", import.meta.url));
  const text = toSchemaText(eventSchema);

  it("is what the sources say; a change needs a new eventSchemaVersion", () => {
    expect(faultOf(readLock(directory), eventSchemaVersion, text)).toBeUndefined();
    const file = join(directory, `events.v${eventSchemaVersion}.json`);
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  it("stands for each version as it was locked", () => {
    const lock = readLock(directory);
    const files = Object.keys(lock).map((version) => `events.v${version}.json`);
    expect(readdirSync(directory).toSorted()).toEqual([...files, "lock.json"].toSorted());
    for (const [version, locked] of Object.entries(lock)) {
      const file = join(directory, `events.v${version}.json`);
      expect(lockOf(readFileSync(file, "utf8")), file).toBe(locked);
    }
  });

  it("closes every object that is not a dictionary of numbers or measures", () => {
    const open: string[] = [];
    const visit = (node: unknown, path: string): void => {
      if (typeof node !== "object" || node === null) return;
      const schema = node as Readonly<Record<string, unknown>>;
      if (schema["type"] === "object" && schema["additionalProperties"] !== false) open.push(path);
      for (const [key, child] of Object.entries(schema)) visit(child, `${path}/${key}`);
    };
    visit(JSON.parse(text), "");
    expect(open).toEqual(["/oneOf/1/properties/measures", "/oneOf/3/properties/figures"]);
  });
});

describe("the lock of the events' schema", () => {
  const text = toSchemaText(eventSchema);
  const changed = toSchemaText(alertEventSchema.extend({ more: z.number() }));
  let directory = "";

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "sluice-schema-"));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it("fails a changed schema that kept its version", () => {
    writeVersion(directory, 1, text);
    expect(faultOf(readLock(directory), 1, text)).toBeUndefined();
    expect(faultOf(readLock(directory), 1, changed)).toBe(
      'the schema of events changed: raise eventSchemaVersion above 1, then run the script "schema"',
    );
  });

  it("fails a version that nobody wrote", () => {
    writeVersion(directory, 1, text);
    expect(faultOf(readLock(directory), 2, changed)).toMatch(/^events\.v2\.json is missing/);
  });

  it("lets no script overwrite a version that exists", () => {
    writeVersion(directory, 1, text);
    expect(() => writeVersion(directory, 1, changed)).toThrow("raise eventSchemaVersion above 1");
    expect(readFileSync(join(directory, "events.v1.json"), "utf8")).toBe(text);
    expect(readLock(directory)).toEqual({ 1: lockOf(text) });
  });

  it("lets no script overwrite a file that the lock does not know", () => {
    writeVersion(directory, 1, text);
    rmSync(join(directory, "lock.json"));
    expect(() => writeVersion(directory, 1, changed)).toThrow("EEXIST");
  });

  it("takes a new version beside the old one", () => {
    expect(writeVersion(directory, 1, text)).toBe("written");
    expect(writeVersion(directory, 1, text)).toBe("unchanged");
    expect(writeVersion(directory, 2, changed)).toBe("written");
    expect(readLock(directory)).toEqual({ 1: lockOf(text), 2: lockOf(changed) });
    expect(readFileSync(join(directory, "events.v1.json"), "utf8")).toBe(text);
  });
});
