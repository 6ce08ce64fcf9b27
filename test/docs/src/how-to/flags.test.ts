import { createHash } from "node:crypto";
import { bucketOf } from "@sluice/policy";
import { describe, expect, it } from "vitest";
import { guardWithAllowlist, makeFlags } from "./flags.ts";

describe("the flags of the page", () => {
  it("are those of the code, changed where they were set", () => {
    expect(makeFlags().read("faq_ai")).toMatchObject({ enabled: true, killed: false, percent: 50 });
  });
});

describe("the bucket that the page describes", () => {
  it.each(["client-7", "somebody", "Ω"])("is that of %s", (subject) => {
    const digest = createHash("sha256").update(`faq_ai:${subject}`).digest();
    expect(bucketOf("faq_ai", subject)).toBe(digest.readUInt32BE() % 100);
  });
});

describe("the allowlist of the page", () => {
  const job = { prompt: "hello" };
  const someones = Array.from({ length: 20 }, (_, i) => `someone-${i}`);
  const pro = { plan: "pro", country: "be" };

  it("is required by default, and the percentage is asked as well", async () => {
    const guard = guardWithAllowlist("require");
    const reasons = await Promise.all(
      someones.map(async (subject) => (await guard.decide(job, { subject })).reason),
    );
    expect(new Set(reasons)).toEqual(new Set(["NOT_ALLOWLISTED"]));
    const listed = await Promise.all(
      someones.map(
        async (subject) => (await guard.decide(job, { subject, attributes: pro })).reason,
      ),
    );
    expect(new Set(listed)).toEqual(new Set([undefined, "NOT_IN_ROLLOUT"]));
    guard.close();
  });

  it("takes who is listed past the percentage in mode include", async () => {
    const guard = guardWithAllowlist("include");
    for (const subject of someones) {
      expect((await guard.decide(job, { subject, attributes: pro })).effect).toBe("allow");
    }
    const half = { plan: "pro", country: "de" };
    const effects = await Promise.all(
      someones.map(
        async (subject) => (await guard.decide(job, { subject, attributes: half })).effect,
      ),
    );
    expect(effects).toContain("divert");
    guard.close();
  });
});
