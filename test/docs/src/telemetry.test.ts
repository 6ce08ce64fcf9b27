import { describe, expect, it } from "vitest";
import { checkTelemetry } from "./check-telemetry.ts";
import { collectTelemetry } from "./collect-telemetry.ts";
import { plant } from "./plant.ts";
import { readPage } from "./read-page.ts";
import { readText } from "./repository.ts";

const text = readText("docs/reference/telemetry.md");
const emitted = await collectTelemetry();

describe("the page of telemetry names", () => {
  it("lists the names that there are, and who bears which attribute", () => {
    expect(checkTelemetry(readPage(text), emitted)).toEqual([]);
  });

  it.each([
    ["a missing event", ["| `alert` |", "| |"], "alert is not documented"],
    [
      "an invented name",
      ["`sluice.effect`", "`sluice.verdict`"],
      "sluice.verdict is documented and does not exist",
    ],
    ["a missing name", ["`sluice.effect`", "the effect"], "sluice.effect is not documented"],
    ["a missing metric", ["| `sluice.alerts` |", "| |"], "sluice.alerts is not documented"],
    ["another version of events", ["`v`: 4.", "`v`: 3."], "the version of events is 4"],
    [
      "a missing field of an outcome's event",
      ["| `fallback_provider` |", "| |"],
      "fallback_provider is not documented",
    ],
    [
      "an invented field of an attempt",
      ["`http_status`", "`status`"],
      "attempts: status is documented and does not exist",
    ],
    [
      "an attribute that a metric lacks",
      [
        "`sluice.feature`, `sluice.alert_code`",
        "`sluice.feature`, `sluice.alert_code`, `sluice.gate`",
      ],
      "sluice.alerts: sluice.gate is documented and does not exist",
    ],
    [
      "an attribute that a metric has",
      ["`sluice.path`, ", ""],
      "sluice.outcome.duration: sluice.path is not documented",
    ],
    [
      "an attribute that a measure has",
      ["`value`", "its value"],
      "sluice.measure.words: value is not documented",
    ],
    [
      "an attribute that a span has",
      ["| `sluice.feature` | the", "| the feature | the"],
      "span: sluice.feature is not documented",
    ],
  ] as const)("is held to it: %s", (_, [good, bad], fault) => {
    expect(checkTelemetry(readPage(plant(text, good, bad)), emitted)).toContain(fault);
  });
});
