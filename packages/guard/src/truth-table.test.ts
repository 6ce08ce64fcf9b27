import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FlagSource, GateMode } from "@sluice/contract";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type FakeProvider,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createGuard, envFlags, flagFile, memoryAdmission, staticFlags } from "./index.ts";

/** bucket("sample_ai", "alice") by `printf sample_ai:alice | sha256sum`: 0x…, modulo 100. */
const bucketOfAlice = 79;

const modes: readonly GateMode[] = ["off", "shadow", "enforce"];

type Axes = Readonly<Record<string, readonly unknown[]>>;
type Cells<A extends Axes> = { [K in keyof A]: A[K][number] };

/** Every combination of one value of each axis. */
function product<A extends Axes>(axes: A): readonly Cells<A>[] {
  let cells: Record<string, unknown>[] = [{}];
  for (const [name, values] of Object.entries(axes)) {
    cells = cells.flatMap((cell) => values.map((value) => ({ ...cell, [name]: value })));
  }
  return cells as Cells<A>[];
}

/** Who the flags let in, in every form they have. */
const flagAxes = {
  enabled: ["true", undefined, "TRUE"],
  kill: [undefined, "false", "true", "off"],
  list: [undefined, "alice,bob", "bob", ""],
  percent: [undefined, "100", String(bucketOfAlice + 1), String(bucketOfAlice), "0", "50 %"],
} as const;

const codeRules: readonly (readonly string[] | undefined)[] = [undefined, ["alice"], ["bob"], []];

const guardAxes = {
  optIn: ["not configured", "configured"],
  rules: codeRules,
  allowlistMode: ["require", "include"],
  optInMode: modes,
  allowlistGate: modes,
  rolloutGate: modes,
} as const;

/** Fewer guards where each state of the flags is a file of its own. */
const fileGuardAxes = { ...guardAxes, rules: [undefined], optInMode: ["enforce"] } as const;

const requestAxes = { local: ["alive", "killed"], allowAI: [true, false] } as const;

type FlagCell = Cells<typeof flagAxes>;
type GuardCell = Cells<typeof guardAxes>;
type RequestCell = Cells<typeof requestAxes>;
type Cell = FlagCell & GuardCell & RequestCell;

/** A list permits, forbids, or is not there. */
const listSays: Readonly<Record<string, boolean>> = { "alice,bob": true, bob: false, "": false };

/** Both lists must permit, where they exist; `undefined` where neither does. */
function listed({ list, rules }: Cell): boolean | undefined {
  if (list === undefined && rules === undefined) return undefined;
  return (list === undefined || listSays[list] === true) && (rules?.includes("alice") ?? true);
}

const outside: readonly (string | undefined)[] = [String(bucketOfAlice), "0", "50 %"];

/** The rules, first match first; a request that none of them stops is a call of the provider. */
const stops: readonly (readonly [reason: string, when: (cell: Cell) => boolean])[] = [
  ["KILLED closed", (cell) => cell.kill === "true" || cell.kill === "off"],
  ["KILLED closed", (cell) => cell.local === "killed"],
  ["FLAG_OFF closed", (cell) => cell.enabled !== "true"],
  ["NOT_IN_ROLLOUT closed", (cell) => cell.percent === "0" || cell.percent === "50 %"],
  [
    "NOT_OPTED_IN",
    (cell) => cell.optIn === "configured" && !cell.allowAI && cell.optInMode === "enforce",
  ],
  [
    "NOT_ALLOWLISTED",
    (cell) =>
      cell.allowlistMode === "require" &&
      cell.allowlistGate === "enforce" &&
      listed(cell) === false,
  ],
  [
    "NOT_IN_ROLLOUT",
    (cell) =>
      cell.rolloutGate === "enforce" &&
      outside.includes(cell.percent) &&
      !(
        cell.allowlistMode === "include" &&
        cell.allowlistGate === "enforce" &&
        listed(cell) === true
      ),
  ],
];

const expectedOf = (cell: Cell): string =>
  stops.find(([, when]) => when(cell))?.[0] ?? "provider called";

function variablesOf(cell: FlagCell): Record<string, string> {
  const variables = {
    FEATURE_SAMPLE_AI: cell.enabled,
    SAMPLE_AI_KILL: cell.kill,
    SAMPLE_AI_ALLOWLIST: cell.list,
    SAMPLE_AI_ROLLOUT_PERCENT: cell.percent,
  };
  return Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** A guard with what tells what became of a request; with `asks` the shadow is asked in its stead. */
function observedGuard(cell: GuardCell, flags: FlagSource, asks: "guard" | "shadow" = "guard") {
  const provider: FakeProvider<SampleJob> = fakeProvider({
    onCall: (call) => call.reply(valueReply(sampleAnswer)),
  });
  const events: string[] = [];
  const guard = createGuard({
    ...sampleFeature,
    provider,
    flags,
    clock: new FakeClock(),
    sinks: [(event) => event.event !== "alert" && events.push(event.event)],
    ...(cell.optIn === "configured" ? { optIn: (job: SampleJob) => job.allowAI === true } : {}),
    ...(cell.rules === undefined ? {} : { allowlist: cell.rules }),
    allowlistMode: cell.allowlistMode,
    gates: {
      "opt-in": { mode: cell.optInMode },
      allowlist: { mode: cell.allowlistGate },
      rollout: { mode: cell.rolloutGate },
      "circuit-breaker": { mode: "off" },
    },
  });

  const asked = asks === "guard" ? guard : guard.shadow();

  /** In the words of the expectations; anything else in full. */
  const answerTo = async ({ local, allowAI }: RequestCell): Promise<string> => {
    if (local === "killed") guard.kill();
    else guard.restore();
    const calls = provider.calls.length;
    const outcome = await asked.run({ prompt: "p", allowAI }, { subject: "alice" });
    asked.flush();
    const seen = `${provider.calls.length - calls} calls, ${outcome.status}, ${events.splice(0).join(" ")}`;
    if (seen === "1 calls, SUCCEEDED, decision outcome") return "provider called";
    const { reason = "no reason", closed } = outcome.decision;
    if (seen === "0 calls, STUBBED, decision outcome" && !closed) return reason;
    if (seen === "0 calls, STUBBED, disabled_noop" && closed) return `${reason} closed`;
    return `${seen}, ${reason}`;
  };
  return { answerTo, close: () => guard.close() };
}

/** Asks every request of one guard under one state of the flags. Gives the wrong answers as text. */
async function wrongAnswers(
  guard: ReturnType<typeof observedGuard>,
  flagCell: FlagCell,
  guardCell: GuardCell,
): Promise<string[]> {
  const wrong: string[] = [];
  for (const requestCell of product(requestAxes)) {
    const cell = { ...flagCell, ...guardCell, ...requestCell };
    const answer = await guard.answerTo(requestCell);
    const expected = expectedOf(cell);
    if (answer !== expected) {
      wrong.push(`${JSON.stringify(cell)}: expected ${expected}, got ${answer}`);
    }
  }
  return wrong;
}

describe("the provider is called in exactly the cells that the rules allow", () => {
  it("I1 with flags from the environment, over every combination", async () => {
    const wrong: string[] = [];
    const variables: Record<string, string> = {};
    for (const guardCell of product(guardAxes)) {
      const guard = observedGuard(guardCell, envFlags({ variables }));
      for (const flagCell of product(flagAxes)) {
        for (const name of Object.keys(variables)) delete variables[name];
        Object.assign(variables, variablesOf(flagCell));
        wrong.push(...(await wrongAnswers(guard, flagCell, guardCell)));
      }
      guard.close();
    }
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(product({ ...flagAxes, ...guardAxes, ...requestAxes })).toHaveLength(497_664);
  }, 60_000);

  it("I1 with flags from a file, over every state of the file", async () => {
    const directory = mkdtempSync(join(tmpdir(), "sluice-"));
    const wrong: string[] = [];
    try {
      const path = join(directory, "flags.env");
      for (const flagCell of product(flagAxes)) {
        const lines = Object.entries(variablesOf(flagCell)).map((pair) => pair.join("="));
        writeFileSync(path, lines.join("\n"));
        // Written long ago, by this clock, so it is believed at once.
        const clock = new FakeClock({ wallMs: Date.now() + 3_600_000 });
        const flags = flagFile(path, { clock });
        for (const guardCell of product(fileGuardAxes)) {
          const guard = observedGuard(guardCell, flags);
          wrong.push(...(await wrongAnswers(guard, flagCell, guardCell)));
          guard.close();
        }
        flags.close();
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
    expect(wrong.slice(0, 5)).toEqual([]);
  }, 60_000);
});

describe("a shadow calls the provider in exactly the same cells", () => {
  it("I1 over every combination, a kill of the guard beside it among them", async () => {
    const wrong: string[] = [];
    const variables: Record<string, string> = {};
    for (const guardCell of product(fileGuardAxes)) {
      const guard = observedGuard(guardCell, envFlags({ variables }), "shadow");
      for (const flagCell of product(flagAxes)) {
        for (const name of Object.keys(variables)) delete variables[name];
        Object.assign(variables, variablesOf(flagCell));
        wrong.push(...(await wrongAnswers(guard, flagCell, guardCell)));
      }
      guard.close();
    }
    expect(wrong.slice(0, 5)).toEqual([]);
  }, 60_000);
});

const capacityAxes = {
  kill: ["alive", "killed", "killed by the flags"],
  budget: ["left", "spent"],
  budgetMode: modes,
  circuit: ["closed", "open", "provider not ready"],
  circuitMode: modes,
  places: ["free", "taken"],
  admissionMode: modes,
} as const;

type CapacityCell = Cells<typeof capacityAxes>;

const capacityStops: readonly (readonly [answer: string, when: (cell: CapacityCell) => boolean])[] =
  [
    ["STUBBED KILLED", (cell) => cell.kill !== "alive"],
    ["STUBBED BUDGET_CALLS", (cell) => cell.budget === "spent" && cell.budgetMode === "enforce"],
    ["STUBBED CIRCUIT_OPEN", (cell) => cell.circuit !== "closed" && cell.circuitMode === "enforce"],
    [
      "REJECTED GLOBAL_IN_FLIGHT",
      (cell) => cell.places === "taken" && cell.admissionMode === "enforce",
    ],
  ];

/** One request to a guard whose limits are in the given state. */
async function capacityAnswer(cell: CapacityCell): Promise<string> {
  const clock = new FakeClock();
  let broken = true;
  const provider: FakeProvider<SampleJob> = fakeProvider({
    onCall: (call) =>
      call.reply(broken ? errorReply("PROVIDER_UNAVAILABLE") : valueReply(sampleAnswer)),
    notReady: () =>
      cell.circuit === "provider not ready" && !broken
        ? { variable: "SAMPLE_KEY", expected: "a key" }
        : undefined,
  });
  const flags = staticFlags({ sample_ai: { enabled: true } });
  const admission = memoryAdmission({ globalInFlight: { limit: 1 }, clock });
  const guard = createGuard({
    ...sampleFeature,
    provider,
    flags,
    clock,
    admission,
    sinks: [() => undefined],
    budget: { callsPerRun: 1, maxOutputTokens: 100 },
    breaker: { minCalls: 1 },
    gates: {
      budget: { mode: cell.budgetMode },
      "circuit-breaker": { mode: cell.circuitMode },
      admission: { mode: cell.admissionMode },
    },
  });
  if (cell.circuit === "open") await guard.run({ prompt: "p" }, { subject: "alice" });
  broken = false;
  if (cell.budget === "spent") {
    guard.budget.restore("run", { calls: 1, tokens: 0, costNanoUsd: 0 });
  }
  if (cell.places === "taken") await admission.acquire("bob");
  if (cell.kill === "killed") guard.kill();
  if (cell.kill === "killed by the flags") flags.set("sample_ai", { killed: true });

  const calls = provider.calls.length;
  const outcome = await guard.run({ prompt: "p" }, { subject: "alice", run: "run" });
  guard.close();
  if (provider.calls.length > calls) return `called ${outcome.status}`;
  return `${outcome.status} ${outcome.decision.reason ?? "no reason"}`;
}

describe("a limit that is reached keeps the provider from being called where it is enforced", () => {
  it("I1 over every combination of limits, modes and kills", async () => {
    const wrong: string[] = [];
    for (const cell of product(capacityAxes)) {
      const expected = capacityStops.find(([, when]) => when(cell))?.[0] ?? "called SUCCEEDED";
      const answer = await capacityAnswer(cell);
      if (answer !== expected) {
        wrong.push(`${JSON.stringify(cell)}: expected ${expected}, got ${answer}`);
      }
    }
    expect(wrong.slice(0, 5)).toEqual([]);
  }, 60_000);
});
