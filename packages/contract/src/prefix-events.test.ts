import { describe, expect, it } from "vitest";
import { z } from "zod";
import { eventSchemaFor, prefixEvents, type PrefixedEvent } from "./prefix-events.ts";
import { eventSchema, eventSchemaVersion, type SluiceEvent } from "./telemetry/events.ts";

const noop: SluiceEvent = {
  v: eventSchemaVersion,
  at_ms: 5,
  feature: "p3_advisory",
  event: "disabled_noop",
  reason: "FLAG_OFF",
};

describe("events under a prefix", () => {
  it("are the same but for their name, and the event itself is left as it was", () => {
    const seen: PrefixedEvent<"phase3">[] = [];
    prefixEvents("phase3", (event) => seen.push(event))(Object.freeze(noop));
    expect(seen).toEqual([{ ...noop, event: "phase3.disabled_noop" }]);
    expect(noop.event).toBe("disabled_noop");
  });

  it("are told apart by their names, which the compiler knows", () => {
    const reasons: string[] = [];
    const sink = prefixEvents("phase3", (event) => {
      if (event.event === "phase3.disabled_noop") reasons.push(event.reason);
      // @ts-expect-error -- no event has its plain name
      if (event.event === "disabled_noop") reasons.push("plain");
    });
    sink(noop);
    expect(reasons).toEqual(["FLAG_OFF"]);
  });

  it("I8 hand back what an async sink returns, so that its rejection is caught by the guard", async () => {
    const sink: (event: SluiceEvent) => unknown = prefixEvents("phase3", () =>
      Promise.reject(new Error("defect")),
    );
    await expect(sink(noop)).rejects.toThrow("defect");
  });

  it("parse under the schema of their prefix, and under no other", () => {
    const prefixed = { ...noop, event: "phase3.disabled_noop" };
    expect(eventSchemaFor("phase3").parse(prefixed)).toEqual(prefixed);
    expect(eventSchemaFor("phase3").safeParse(noop).success).toBe(false);
    expect(eventSchemaFor("phase4").safeParse(prefixed).success).toBe(false);
    expect(eventSchema.safeParse(prefixed).success).toBe(false);
  });

  it("I5 have no place for content", () => {
    const leaking = { ...noop, event: "phase3.disabled_noop", prompt: "sentinel" };
    expect(eventSchemaFor("phase3").safeParse(leaking).success).toBe(false);
  });

  it("have the JSON Schema of the plain ones but for their names", () => {
    const plain = JSON.stringify(z.toJSONSchema(eventSchema));
    const prefixed = JSON.stringify(z.toJSONSchema(eventSchemaFor("phase3")));
    expect(prefixed).toContain('"phase3.outcome"');
    expect(prefixed.replaceAll('"const":"phase3.', '"const":"')).toBe(plain);
  });

  it.each(["phase3", "a", "app.ai_2.x", "a".repeat(64)])("take the prefix %s", (prefix) => {
    expect(() => prefixEvents(prefix, () => undefined)).not.toThrow();
    expect(() => eventSchemaFor(prefix)).not.toThrow();
  });

  const expected =
    "expected at most 64 lower-case letters, digits, _ and dots, each part beginning with a letter";
  it.each([
    ["", '""'],
    ["Phase3", '"Phase3"'],
    ["3phase", '"3phase"'],
    ["phase3.", '"phase3."'],
    [".phase3", '".phase3"'],
    ["a..b", '"a..b"'],
    ["a.3", '"a.3"'],
    ["a-b", '"a-b"'],
    ["phase3\n", '"phase3\\n"'],
    ["a".repeat(65), `"${"a".repeat(60)}…"`],
  ])("refuse the prefix %j in one line", (prefix, got) => {
    const fault = `.prefix: got ${got}, ${expected}`;
    expect(() => prefixEvents(prefix, () => undefined)).toThrow(`prefixEvents${fault}`);
    expect(() => eventSchemaFor(prefix)).toThrow(`eventSchemaFor${fault}`);
  });

  it("refuse a prefix that is no text", () => {
    expect(() => prefixEvents(3 as never, () => undefined)).toThrow(
      "prefixEvents.prefix: got 3, expected a value of type string",
    );
  });
});
