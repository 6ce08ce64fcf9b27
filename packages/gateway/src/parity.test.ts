import type { Outcome } from "@sluice/contract";
import { createGuard, defineContract, staticFlags } from "@sluice/guard";
import { fakeProvider } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { comparedWith, type LegacyAnswer } from "./parity.ts";
import type { ShadowDefaults } from "./shadow-options.ts";

const throwing = (): never => {
  throw new Error("theirs");
};

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const legacyOf = (body: unknown, more: Partial<LegacyAnswer> = {}): LegacyAnswer => ({
  status: 200,
  contentType: "application/json",
  body: bytes(typeof body === "string" ? body : JSON.stringify(body)),
  complete: true,
  latencyMs: 40,
  ...more,
});

const mirrored = (value: unknown) => ({
  outcome: { status: "SUCCEEDED", value } as unknown as Outcome<unknown, unknown, unknown>,
  latencyMs: 100,
});
const failed = {
  outcome: { status: "FAILED" } as unknown as Outcome<unknown, unknown, unknown>,
  latencyMs: 7,
};

const guard = createGuard({
  feature: "chat_ai",
  contract: defineContract({
    ok: z.object({ status: z.literal("OK"), reply: z.string(), intent: z.string().nullable() }),
    failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  }),
  failed: ({ code }) => ({ status: "FAILED", code }),
  stub: () => ({ status: "OK", reply: "stub", intent: null }),
  provider: fakeProvider(),
  flags: staticFlags({}),
  onFailure: "stub",
  openTelemetry: false,
});

const compare = (settings: Partial<Pick<ShadowDefaults, "equal" | "text" | "fromLegacy">> = {}) =>
  comparedWith({ guard, settings: { equal: ["intent"], text: "reply", ...settings } });

const mirror = { status: "OK", reply: "seven days a week", intent: "hours" };

describe("parity", () => {
  it("tells figures of two answers, and nothing of either", () => {
    const figures = compare()(mirrored(mirror), legacyOf({ ...mirror, reply: "seven days" }));
    expect(figures).toEqual({
      legacyValid: true,
      mirrorValid: true,
      equal: { intent: true },
      lengthDifference: 7,
      latencyDifferenceMs: 60,
      similarity: 0.5,
    });
    expect(JSON.stringify(figures)).not.toMatch(/seven|hours/);
  });

  it("counts a field as equal only where both have it", () => {
    const { intent: _, ...without } = mirror;
    for (const [one, other] of [
      [mirror, without],
      [without, mirror],
      [without, without],
      [mirror, { ...mirror, intent: "prices" }],
    ] as const) {
      expect(compare()(mirrored(one), legacyOf(other))?.equal).toEqual({ intent: false });
    }
  });

  it("reads the legacy answer as the application says", () => {
    const fromLegacy = (body: unknown) => ({
      ...mirror,
      reply: (body as { readonly text: string }).text,
    });
    const figures = compare({ fromLegacy })(mirrored(mirror), legacyOf({ text: mirror.reply }));
    expect(figures).toMatchObject({ legacyValid: true, equal: { intent: true }, similarity: 1 });
  });

  it("takes a legacy answer that can't be read so for not valid", () => {
    const figures = compare({ fromLegacy: throwing })(mirrored(mirror), legacyOf({ text: "t" }));
    expect(figures).toMatchObject({ legacyValid: false, equal: { intent: false }, similarity: 0 });
  });

  it.each([
    ["an error", legacyOf({ reply: "sorry" }, { status: 500 })],
    ["of another form", legacyOf({ message: "hi", reply: 7 })],
    [
      "text without an end",
      legacyOf(`data: {"type":"text-delta","id":"0","delta":"seven"}\n\n`, {
        contentType: "text/event-stream",
      }),
    ],
  ])("a legacy answer that is %s is not valid", (_what, legacy) => {
    expect(
      compare({ fromLegacy: (body) => body as never })(mirrored({ reply: "r" }), {
        ...legacy,
      })?.legacyValid,
    ).toBe(false);
  });

  it("reads the legacy handler's own stream", () => {
    const stream = [
      `data: {"type":"start"}\n\n`,
      `data: {"type":"text-delta","id":"0","delta":"seven days "}\n\n`,
      `data: {"type":"text-delta","id":"0","delta":"a week"}\n\n`,
      `data: {"type":"finish"}\n\ndata: [DONE]\n\n`,
    ].join("");
    const legacy = legacyOf(stream, { contentType: "text/event-stream" });
    expect(compare()(mirrored(mirror), legacy)).toMatchObject({
      legacyValid: true,
      lengthDifference: 0,
      similarity: 1,
    });
  });

  it("tells of a mirror that failed", () => {
    expect(compare()(failed, legacyOf(mirror))).toMatchObject({
      legacyValid: true,
      mirrorValid: false,
      equal: { intent: false },
      similarity: 0,
    });
  });

  it.each([
    ["was not wanted or too long", { body: undefined }],
    ["never came", { status: undefined }],
    ["was not sent to its end", { complete: false }],
  ])("compares nothing where the legacy answer %s", (_why, more) => {
    expect(compare()(mirrored(mirror), legacyOf(mirror, more))).toBeUndefined();
  });
});
