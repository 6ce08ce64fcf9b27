import { describe, expect, it } from "vitest";
import { retryAfterMs } from "./retry-after.ts";

const waitOf = (headers: Readonly<Record<string, string>>): number | undefined =>
  retryAfterMs(429, new Headers(headers));
const day = 86_400_000;

describe("what headers ask to wait", () => {
  it.each<[headers: Readonly<Record<string, string>>, ms: number | undefined]>([
    [{ "retry-after": "99999999999" }, day],
    [{ "retry-after": "9".repeat(400) }, day],
    [{ "retry-after-ms": "99999999999" }, day],
    [{ "retry-after": "Wed, 21 Oct 2099 07:28:00 GMT" }, day],
    [{ "retry-after": "Wed, 21 Oct 2099 07:28:00 GMT", date: "now" }, day],
    [{ "retry-after": "soon 2" }, undefined],
    [{ "retry-after": "-3" }, undefined],
    [{ "retry-after": "" }, undefined],
    [{ "retry-after": "2" }, 2000],
  ])("S28 by %j is long rather than unknown", (headers, ms) => {
    expect(waitOf(headers)).toBe(ms);
  });
});
