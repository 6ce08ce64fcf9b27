import type { FlagProblem } from "@sluice/contract";
import {
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createGuard, staticFlags } from "./index.ts";

const job: SampleJob = { prompt: "p" };
const request = { subject: "ann" };
const rows = [{ provider: "fake" }];
const weight = { variable: "weight", expected: "a whole number", readAs: "the row before" };
const model = { variable: "model", expected: "1 to 128 characters", readAs: "the row before" };

function withProblems(first: readonly FlagProblem[] | (() => never) = []) {
  const record = recordingSink();
  let problems = typeof first === "function" ? first : () => first;
  const guard = createGuard({
    ...sampleFeature,
    route: {
      providers: [
        fakeProvider<SampleJob>({ onCall: (call) => call.reply(valueReply(sampleAnswer)) }),
      ],
      candidates: { name: "sql", read: () => rows, problems: () => problems() },
    },
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock: new FakeClock(),
    sinks: [record.sink],
  });
  return {
    guard,
    set: (next: readonly FlagProblem[]) => {
      problems = () => next;
    },
    told: async () => {
      for (let i = 0; i < 3; i += 1) await guard.run(job, request);
      guard.flush();
      return record.of("alert").map(({ code, message, variable }) => ({
        code,
        message,
        variable,
      }));
    },
  };
}

const lineOf = (text: string, variable: string) => ({
  code: "ROUTE_MALFORMED",
  message: `the route from sql is malformed, the last good one stays: ${text}`,
  variable,
});
const weightLine = lineOf(
  "weight is malformed: expected a whole number; it is read as the row before",
  "weight",
);

describe("what a route's source found malformed", () => {
  it("is told once for each change, and not when it was mended", async () => {
    const { guard, set, told } = withProblems();
    expect(await told()).toEqual([]);
    set([weight]);
    expect(await told()).toEqual([weightLine]);
    set([]);
    expect(await told()).toEqual([weightLine]);
    set([weight, model]);
    expect(await told()).toEqual([
      weightLine,
      lineOf(
        "weight is malformed: expected a whole number; it is read as the row before; model is malformed: expected 1 to 128 characters; it is read as the row before",
        "weight",
      ),
    ]);
    guard.close();
  });

  it("is told at the start, and shown for as long as it lasts", async () => {
    const { guard, set, told } = withProblems([weight]);
    expect(guard.describe().routeProblems).toEqual([weight]);
    expect(String(guard.describe())).toContain(
      "malformed: weight, expected a whole number, read as the row before",
    );
    expect(await told()).toEqual([weightLine]);
    set([]);
    expect(guard.describe().routeProblems).toEqual([]);
    guard.close();
  });

  it("of a source that throws when asked is told once, and the route stays", async () => {
    const { guard, told } = withProblems(() => {
      throw new Error("secret");
    });
    expect(await told()).toEqual([
      {
        code: "DEPENDENCY_THREW",
        message: "the route source sql threw when asked for its problems",
        variable: undefined,
      },
    ]);
    expect(await guard.run(job, request)).toMatchObject({ status: "SUCCEEDED" });
    guard.close();
  });
});
