import { eventSchema, type SluiceEvent } from "@sluice/contract";
import {
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import { setImmediate } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createEvents, type Events } from "./events.ts";
import { createGuard, staticFlags } from "./index.ts";

const noop = (atMs: number): SluiceEvent => ({
  v: 4,
  event: "disabled_noop",
  at_ms: atMs,
  feature: "sample_ai",
  reason: "FLAG_OFF",
});

function createSampleEvents(
  sinks: readonly ((event: SluiceEvent) => void)[],
  clock = new FakeClock(),
): Events {
  return createEvents({ feature: "sample_ai", sinks, clock });
}

/** After what was due for the end of this turn of the event loop. */
const turn = (): Promise<void> => setImmediate();

describe("an event", () => {
  it("reaches every sink after the turn in which it happened, with the time at which it happened", async () => {
    const clock = new FakeClock({ wallMs: 5 });
    const first = recordingSink();
    const second = recordingSink();
    const events = createSampleEvents([first.sink, second.sink], clock);
    events.emit(noop);
    clock.advance(1000);
    expect(first.events).toEqual([]);
    await turn();
    expect(first.events).toMatchObject([{ event: "disabled_noop", at_ms: 5 }]);
    expect(second.events).toEqual(first.events);
  });

  it("is handed out at once by a flush, and once", async () => {
    const record = recordingSink();
    const events = createSampleEvents([record.sink]);
    events.emit(noop);
    events.flush();
    expect(record.events).toHaveLength(1);
    await turn();
    expect(record.events).toHaveLength(1);
    events.emit(noop);
    await turn();
    expect(record.events).toHaveLength(2);
  });

  it("is not made where nobody listens", () => {
    const events = createSampleEvents([]);
    const make = vi.fn<typeof noop>(noop);
    expect(events.wanted).toBe(false);
    events.emit(make);
    events.flush();
    expect(make).not.toHaveBeenCalled();
  });

  it("I12 is dropped, the oldest first, and counted where 10,000 wait", () => {
    const seen: number[] = [];
    const clock = new FakeClock({ wallMs: 0 });
    const events = createSampleEvents([(event) => seen.push(event.at_ms)], clock);
    for (let i = 0; i < 12_345; i += 1) {
      events.emit(noop);
      clock.advance(1);
    }
    expect(events.dropped).toBe(2345);
    events.flush();
    expect(seen).toHaveLength(10_000);
    expect(seen).toEqual(Array.from({ length: 10_000 }, (_, index) => index + 2345));
    events.emit(noop);
    events.flush();
    expect(seen.at(-1)).toBe(12_345);
  });

  it("that can't be made is dropped and counted, and keeps no other from being handed out", () => {
    const record = recordingSink();
    const events = createSampleEvents([record.sink]);
    events.emit(noop);
    events.emit(() => {
      throw new Error("defect");
    });
    events.emit(noop);
    events.flush();
    expect(record.events).toHaveLength(2);
    expect(events.dropped).toBe(1);
  });
});

describe("I8 an observer", () => {
  const { promise: never } = Promise.withResolvers<void>();
  const observers: readonly (readonly [string, () => unknown])[] = [
    [
      "throws",
      () => {
        throw new Error("defect");
      },
    ],
    [
      "throws no error",
      () => {
        // oxlint-disable-next-line typescript/only-throw-error -- observers throw anything
        throw undefined;
      },
    ],
    ["rejects", () => Promise.reject(new Error("defect"))],
    ["never settles", () => never],
  ];

  it.each(observers)("I8 that %s changes no outcome and silences no other", async (_, observe) => {
    const record = recordingSink();
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>({
        onCall: (call) => call.reply(valueReply(sampleAnswer)),
      }),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [observe, record.sink],
    });
    const outcome = await guard.run({ prompt: "p" }, { subject: "alice" });
    expect(outcome).toMatchObject({ status: "SUCCEEDED", value: sampleAnswer });
    await turn();
    expect(record.events.map((event) => event.event)).toEqual(["decision", "outcome"]);
    guard.close();
  });

  it("I8 that kills the feature from within an event is heard", async () => {
    const record = recordingSink();
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>(),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      sinks: [
        () => {
          guard.kill();
          guard.flush();
        },
        record.sink,
      ],
    });
    const running = guard.run({ prompt: "p" }, { subject: "alice" });
    guard.flush();
    expect(await running).toMatchObject({ status: "STUBBED", reason: "KILLED" });
    guard.flush();
    expect(record.events.map((event) => event.event).toSorted()).toEqual([
      "alert",
      "decision",
      "outcome",
    ]);
    guard.close();
  });
});

describe("an alert", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("is an event of its schema", () => {
    const seen: SluiceEvent[] = [];
    const events = createSampleEvents([(event) => seen.push(event)]);
    events.alert({ code: "TRIPPED", message: "m", variable: "V", figures: { calls: 5 } });
    events.flush();
    expect(seen.map((event) => eventSchema.parse(event))).toMatchObject([
      { event: "alert", code: "TRIPPED", message: "m", variable: "V", figures: { calls: 5 } },
    ]);
  });

  it("is one line of at most 512 characters, whatever it is given", () => {
    const record = recordingSink();
    const events = createSampleEvents([record.sink]);
    events.alert({
      code: "PROVIDER_NOT_READY",
      message: `set A\r\nto \u{2028}b\u{202e}\0\u{1b}[31m${"x".repeat(1000)}`,
      variable: `A\n${"B".repeat(200)}`,
    });
    events.flush();
    const [alert] = record.of("alert");
    expect(alert?.message).toHaveLength(512);
    expect(alert?.message).toMatch(/^set A\u{fffd}\u{fffd}to \u{fffd}b\u{fffd}{3}\[31mx+$/u);
    expect(alert?.variable).toBe(`A\u{fffd}${"B".repeat(126)}`);
  });

  it("is raised once for its key until the key is cleared", () => {
    const record = recordingSink();
    const events = createSampleEvents([record.sink]);
    const alert = { code: "STUB_FAILED", message: "m" } as const;
    events.alertOnce("stub", alert);
    events.alertOnce("stub", alert);
    events.alertOnce("other", alert);
    events.clear("stub");
    events.alertOnce("stub", alert);
    events.flush();
    expect(record.of("alert")).toHaveLength(3);
  });

  it("is a process warning where the application listens to nothing", () => {
    const warn = vi.spyOn(process, "emitWarning").mockReturnValue(undefined);
    const events = createEvents({
      feature: "sample_ai",
      sinks: [],
      clock: new FakeClock(),
    });
    events.alert({ code: "TRIPPED", message: "one\ntwo" });
    expect(warn).toHaveBeenCalledExactlyOnceWith("sluice sample_ai: one\u{fffd}two", {
      code: "SLUICE_TRIPPED",
    });
  });
});
