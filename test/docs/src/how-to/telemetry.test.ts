import { expect, it } from "vitest";
import { measuredGuard } from "./telemetry.ts";

it("the measures of the page reach the outcome and its event", async () => {
  const logged: object[] = [];
  const guard = measuredGuard({ info: (event) => void logged.push(event) });
  const outcome = await guard.run("three little slots", { subject: "job-1" });
  guard.close();
  expect(outcome.record.measures).toEqual({ slotsMade: 3 });
  expect(logged).toMatchObject([
    { event: "decision", effect: "allow" },
    { event: "outcome", measures: { slotsMade: 3 } },
  ]);
});
