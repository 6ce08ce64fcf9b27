import { switchNames, type FlagProblem, type SwitchName } from "@sluice/contract";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flagVariableNames, parseEnvFlags, parseSwitches, type RawFlags } from "./env-flags.ts";

const unset: RawFlags = {
  enabled: undefined,
  kill: undefined,
  allowlist: undefined,
  percent: undefined,
};

const read = (raw: Partial<RawFlags>) => parseEnvFlags("slotgen_ai", { ...unset, ...raw });

describe("the variables of a feature", () => {
  it("are derived from its name", () => {
    expect(flagVariableNames("slotgen_ai")).toEqual({
      enabled: "FEATURE_SLOTGEN_AI",
      kill: "SLOTGEN_AI_KILL",
      allowlist: "SLOTGEN_AI_ALLOWLIST",
      percent: "SLOTGEN_AI_ROLLOUT_PERCENT",
    });
  });
});

describe("a feature of which nothing is set", () => {
  it("is disabled, not killed, at 100 %, without an opinion on subjects, and nothing is malformed", () => {
    expect(read({})).toEqual({
      enabled: false,
      killed: false,
      percent: 100,
      allowlist: undefined,
      salt: "slotgen_ai",
      version: undefined,
      problems: [],
    });
  });
});

describe("FEATURE_<NAME>", () => {
  it("enables by exactly true", () => {
    expect(read({ enabled: "true" })).toMatchObject({ enabled: true, problems: [] });
  });

  it.each(["", "false", "0"])("disables without complaint by %j", (enabled) => {
    expect(read({ enabled })).toMatchObject({ enabled: false, problems: [] });
  });

  it.each(["TRUE", "True", "1", "yes", "on", " true", "true ", "true\n", "truee", "enabled"])(
    "does not enable by %j, and names itself",
    (enabled) => {
      expect(read({ enabled })).toMatchObject({
        enabled: false,
        problems: [{ variable: "FEATURE_SLOTGEN_AI", readAs: "false" }],
      });
    },
  );

  it("enables by no other text whatever", () => {
    fc.assert(
      fc.property(fc.string(), (enabled) => {
        expect(read({ enabled }).enabled).toBe(enabled === "true");
      }),
    );
  });
});

describe("<NAME>_KILL", () => {
  it.each([undefined, "", "false", "0"])("does not kill by %j", (kill) => {
    expect(read({ kill })).toMatchObject({ killed: false, problems: [] });
  });

  it.each(["true", "1", "yes", "on"])("kills by %j", (kill) => {
    expect(read({ kill })).toMatchObject({ killed: true, problems: [] });
  });

  it.each(["FALSE", "False", "no", "off", " ", " false", "false ", "00", "tru", "null", "-"])(
    "kills by the unclear %j, and names itself",
    (kill) => {
      expect(read({ kill })).toMatchObject({
        killed: true,
        problems: [{ variable: "SLOTGEN_AI_KILL", readAs: "true" }],
      });
    },
  );

  it("I1 kills by every text but the three that clearly do not", () => {
    fc.assert(
      fc.property(fc.string(), (kill) => {
        expect(read({ kill }).killed).toBe(!["", "false", "0"].includes(kill));
      }),
    );
  });
});

describe("<NAME>_ALLOWLIST", () => {
  it.each([
    ["alice", ["alice"]],
    ["alice,bob", ["alice", "bob"]],
    [" alice , bob ", ["alice", "bob"]],
    ["alice,,bob,", ["alice", "bob"]],
    ["受験生,🧪", ["受験生", "🧪"]],
    ["Alice,alice", ["Alice", "alice"]],
    ["a b", ["a b"]],
  ])("reads %j as ids between commas", (allowlist, ids) => {
    expect(read({ allowlist }).allowlist).toEqual(ids);
  });

  it("has no opinion when it is unset", () => {
    expect(read({}).allowlist).toBeUndefined();
  });

  it.each(["", " ", ",", " , ,"])("set to %j permits nobody", (allowlist) => {
    expect(read({ allowlist }).allowlist).toEqual([]);
  });
});

describe("<NAME>_ROLLOUT_PERCENT", () => {
  it("is 100 when it is unset: the flag and the allowlist decide alone", () => {
    expect(read({}).percent).toBe(100);
  });

  it("is each integer from 0 to 100", () => {
    for (let percent = 0; percent <= 100; percent += 1) {
      expect(read({ percent: String(percent) })).toMatchObject({ percent, problems: [] });
    }
  });

  it.each([
    "",
    " ",
    "101",
    "1000",
    "-1",
    "-0",
    "+5",
    "5.0",
    "0.5",
    "5%",
    " 5",
    "5 ",
    "5\n",
    "1e2",
    "0x10",
    "٥",
    "five",
    "true",
    "NaN",
    "Infinity",
  ])("malformed as %j is 0, and names itself", (percent) => {
    expect(read({ percent })).toMatchObject({
      percent: 0,
      problems: [{ variable: "SLOTGEN_AI_ROLLOUT_PERCENT", readAs: "0" }],
    });
  });

  it("is an integer from 0 to 100 whatever the text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.integer().map(String)), (text) => {
        const { percent } = read({ percent: text });
        expect(Number.isInteger(percent) && percent >= 0 && percent <= 100).toBe(true);
      }),
    );
  });
});

describe("several malformed variables", () => {
  it("are all named, and none of their values is repeated", () => {
    const { problems } = read({ enabled: "sentinel-1", kill: "sentinel-2", percent: "sentinel-3" });
    expect(problems.map((problem: FlagProblem) => problem.variable)).toEqual([
      "FEATURE_SLOTGEN_AI",
      "SLOTGEN_AI_KILL",
      "SLOTGEN_AI_ROLLOUT_PERCENT",
    ]);
    expect(JSON.stringify(problems)).not.toContain("sentinel");
  });
});

describe("the gateway's switches", () => {
  it("are all false when nothing is set", () => {
    const { switches, problems } = parseSwitches({});
    expect(Object.keys(switches)).toEqual([...switchNames]);
    expect(Object.values(switches)).toEqual(switchNames.map(() => false));
    expect(problems).toEqual([]);
  });

  it.each(switchNames)("%s is read from true, false and the empty text", (name) => {
    expect(parseSwitches({ [name]: "true" })).toMatchObject({
      switches: { [name]: true },
      problems: [],
    });
    for (const raw of ["false", ""]) {
      expect(parseSwitches({ [name]: raw })).toMatchObject({
        switches: { [name]: false },
        problems: [],
      });
    }
  });

  const safest: Readonly<Record<SwitchName, boolean>> = {
    FF_CHAT_GATEWAY_ENABLED: false,
    FF_CHAT_GATEWAY_SHADOW: true,
    FF_ADMISSION_ENFORCE: false,
    ADMISSION_ENFORCE_USER_INFLIGHT: false,
    ADMISSION_ENFORCE_GLOBAL_INFLIGHT: false,
    ADMISSION_ENFORCE_GLOBAL_MSG_RATE: false,
    ADMISSION_ENFORCE_GLOBAL_TOOL_RATE: false,
    FF_TOOL_QUEUE_ENFORCE: false,
    FF_PROVIDER_FAILOVER_ENABLED: false,
    FF_FAIL_CLOSED_ON_REDIS_ERROR: true,
  };

  it.each(switchNames)("%s malformed takes its safest reading, and names itself", (name) => {
    for (const raw of ["TRUE", "1", "0", "yes", " true", "null"]) {
      const { switches, problems } = parseSwitches({ [name]: raw });
      expect(switches[name]).toBe(safest[name]);
      expect(problems).toEqual([
        { variable: name, expected: "true or false", readAs: String(safest[name]) },
      ]);
    }
  });

  it("do not affect one another", () => {
    const all = parseSwitches(Object.fromEntries(switchNames.map((name) => [name, "true"])));
    expect(Object.values(all.switches)).toEqual(switchNames.map(() => true));
    const { switches } = parseSwitches({ FF_CHAT_GATEWAY_ENABLED: "true" });
    expect(Object.entries(switches).filter(([, on]) => on)).toEqual([
      ["FF_CHAT_GATEWAY_ENABLED", true],
    ]);
  });
});
