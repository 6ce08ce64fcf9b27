import { describe, expect, test } from "vitest";
import { parseJob } from "./job.ts";

const metadata = {
  allowAI: true,
  subject: "maths",
  board: "aqa",
  specVersion: "2026",
  kind: "practice",
};
const line = (change: object): string =>
  JSON.stringify({ id: "a", prompt: "Fractions", metadata, ...change });

test("a job has four slots and forty minutes unless it says otherwise", () => {
  expect(parseJob(line({}))).toStrictEqual({
    ok: true,
    job: { id: "a", prompt: "Fractions", slots: 4, minutes: 40, metadata },
  });
});

test("metadata may be missing, and may hold more than is known", () => {
  expect(parseJob('{"id":"a","prompt":"b"}')).toMatchObject({ ok: true, job: { metadata: {} } });
  expect(parseJob(line({ metadata: { school: "north" } }))).toMatchObject({
    job: { metadata: { school: "north" } },
  });
});

test.each([["true"], [1], [null], [[true]], [{}]])(
  "allowAI %j makes no line malformed: it is no yes",
  (allowAI) => {
    expect(parseJob(line({ metadata: { allowAI } }))).toMatchObject({
      ok: true,
      job: { metadata: { allowAI } },
    });
  },
);

describe("a malformed line is told by what the schema expects", () => {
  test.each([
    ["", "not JSON"],
    ["{", "not JSON"],
    ["null", "expected object, received null"],
    ["[]", "expected object, received array"],
    ['"secret"', "expected object, received string"],
    [line({ id: "" }), "id: Too small: expected string to have >=1 characters"],
    [line({ id: 7 }), "id: expected string, received number"],
    [line({ id: "x".repeat(257) }), "id: Too big: expected string to have <=256 characters"],
    [line({ prompt: undefined }), "prompt: expected string, received undefined"],
    [line({ slots: 0 }), "slots: Too small: expected number to be >=1"],
    [line({ slots: 2.5 }), "slots: expected int, received number"],
    [line({ minutes: 3 }), "minutes: expected at least one minute a slot"],
    [line({ metadata: null }), "metadata: expected object, received null"],
    [line({ metadata: { board: 5 } }), "metadata.board: expected string, received number"],
  ])("%j", (text, fault) => {
    expect(parseJob(text)).toStrictEqual({ ok: false, fault });
  });

  test("and never by what it holds", () => {
    const sentinel = "SENTINEL";
    const held = [
      `{"id":"${sentinel}`,
      line({ id: [sentinel] }),
      line({ slots: sentinel }),
      line({ metadata: sentinel }),
      line({ metadata: { subject: { [sentinel]: 1 } } }),
    ];
    for (const text of held) expect(JSON.stringify(parseJob(text))).not.toContain(sentinel);
  });
});
