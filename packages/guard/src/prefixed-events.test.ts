import { eventSchemaFor, prefixEvents, type PrefixedEvent } from "@sluice/contract";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import { expect, it } from "vitest";
import { createGuard, memoryAdmission, staticFlags } from "./index.ts";

it("every event of a guard parses under the application's prefix, beside the plain ones", async () => {
  const clock = new FakeClock();
  const plain = recordingSink();
  const seen: PrefixedEvent<"phase3">[] = [];
  const flags = staticFlags({ sample_ai: { enabled: true } });
  const guard = createGuard({
    ...sampleFeature,
    provider: fakeProvider<SampleJob>({
      onCall: (call) => {
        const isGood = call.asked.input.prompt === "good";
        call.reply(isGood ? valueReply(sampleAnswer) : errorReply("PROVIDER_BAD_REQUEST"));
      },
    }),
    flags,
    clock,
    admission: memoryAdmission({ messageRate: { count: 2, perMs: 1000 }, clock }),
    sinks: [plain.sink, prefixEvents("phase3", (event) => seen.push(event))],
  });
  for (const prompt of ["good", "bad", "good"]) await guard.run({ prompt }, { subject: "ann" });
  guard.kill();
  await guard.run({ prompt: "good" }, { subject: "ann" });
  guard.flush();
  expect(seen.map(({ event }) => event)).toEqual([
    "phase3.decision",
    "phase3.outcome",
    "phase3.decision",
    "phase3.outcome",
    "phase3.decision",
    "phase3.outcome",
    "phase3.alert",
    "phase3.disabled_noop",
  ]);
  const schema = eventSchemaFor("phase3");
  for (const event of seen) expect(schema.parse(event)).toEqual(event);
  expect(seen.map((event) => ({ ...event, event: event.event.slice("phase3.".length) }))).toEqual(
    plain.events,
  );
  guard.close();
});
