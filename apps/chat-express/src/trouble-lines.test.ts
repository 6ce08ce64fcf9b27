import { describe, expect, it } from "vitest";
import { troubleLines } from "./trouble-lines.ts";

describe("the troubles of the control plane", () => {
  it("are told once where all parts fail by the same code, and again when that comes back", () => {
    const lines: string[] = [];
    const tell = troubleLines((line) => lines.push(line));
    tell("metric_windows", { state: "away", code: "ECONNREFUSED" });
    tell("sluice_instances", { state: "failing", code: "ECONNREFUSED" });
    expect(lines).toEqual(["metric_windows: away, ECONNREFUSED"]);
    tell("metric_windows", { state: "written" });
    tell("metric_windows", { state: "away", code: "ECONNREFUSED" });
    expect(lines).toHaveLength(1);
    tell("metric_windows", { state: "written" });
    tell("sluice_instances", { state: "beating" });
    tell("sluice_instances", { state: "failing", code: "ECONNREFUSED" });
    expect(lines.slice(1)).toEqual(["sluice_instances: failing, ECONNREFUSED"]);
  });

  it("are told apart by their code, and by the state where there is none", () => {
    const lines: string[] = [];
    const tell = troubleLines((line) => lines.push(line));
    tell("metric_windows", { state: "refused", code: "42501" });
    tell("ai_training_examples", { state: "dropping" });
    tell("latency_hours", { state: "failing", code: "57014" });
    expect(lines).toEqual([
      "metric_windows: refused, 42501",
      "ai_training_examples: dropping",
      "latency_hours: failing, 57014",
    ]);
  });
});
