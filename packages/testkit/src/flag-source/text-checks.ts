import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { opened, withSource, type OpenFlagSource } from "./bench.ts";

export const textChecks: readonly Check<OpenFlagSource>[] = [
  {
    name: "takes an unclear kill for a kill, and names the variable",
    async run(open) {
      for (const unclear of ["no", "FALSE", "tru", "off"]) {
        await withSource(open, { ...opened, CHAT_AI_KILL: unclear }, ({ read }) => {
          expect(read().killed, unclear).toBe(true);
          expect(read().problems.map((problem) => problem.variable)).toEqual(["CHAT_AI_KILL"]);
        });
      }
    },
  },
  {
    name: "enables a feature by exactly true",
    async run(open) {
      for (const enabled of ["TRUE", "1", "yes", "truee"]) {
        await withSource(open, { FEATURE_CHAT_AI: enabled }, ({ read }) => {
          expect(read().enabled, enabled).toBe(false);
          expect(read().problems.map((problem) => problem.variable)).toEqual(["FEATURE_CHAT_AI"]);
        });
      }
    },
  },
  {
    name: "takes a malformed percentage for 0, and names the variable",
    async run(open) {
      for (const percent of ["101", "-1", "5%", "five", "1e2"]) {
        await withSource(open, { ...opened, CHAT_AI_ROLLOUT_PERCENT: percent }, ({ read }) => {
          expect(read().percent, percent).toBe(0);
          expect(read().problems.map((problem) => problem.variable)).toEqual([
            "CHAT_AI_ROLLOUT_PERCENT",
          ]);
        });
      }
    },
  },
  {
    name: "takes an allowlist that is set and empty for one that permits nobody",
    run: (open) =>
      withSource(open, { ...opened, CHAT_AI_ALLOWLIST: "" }, ({ read }) => {
        expect(read().allowlist).toEqual([]);
      }),
  },
  {
    name: "reads the gateway's switches, and a change of them",
    run: (open) =>
      withSource(open, { FF_CHAT_GATEWAY_ENABLED: "true" }, async ({ source, change }) => {
        expect(source.readSwitches().switches).toMatchObject({
          FF_CHAT_GATEWAY_ENABLED: true,
          FF_CHAT_GATEWAY_SHADOW: false,
        });
        await change({ FF_CHAT_GATEWAY_SHADOW: "true" });
        expect(source.readSwitches().switches).toMatchObject({
          FF_CHAT_GATEWAY_ENABLED: false,
          FF_CHAT_GATEWAY_SHADOW: true,
        });
      }),
  },
  {
    name: "takes a malformed switch for its safest reading, and names the variable",
    run: (open) =>
      withSource(
        open,
        { FF_CHAT_GATEWAY_ENABLED: "yes", FF_CHAT_GATEWAY_SHADOW: "no" },
        ({ source }) => {
          const { switches, problems } = source.readSwitches();
          expect(switches).toMatchObject({
            FF_CHAT_GATEWAY_ENABLED: false,
            FF_CHAT_GATEWAY_SHADOW: true,
          });
          expect(problems.map((problem) => problem.variable)).toEqual([
            "FF_CHAT_GATEWAY_ENABLED",
            "FF_CHAT_GATEWAY_SHADOW",
          ]);
        },
      ),
  },
  {
    name: "repeats no malformed value in what it says of it",
    run: (open) =>
      withSource(
        open,
        { FEATURE_CHAT_AI: "sentinel-1", CHAT_AI_ROLLOUT_PERCENT: "sentinel-2" },
        ({ read }) => {
          expect(read().problems).toHaveLength(2);
          expect(JSON.stringify(read())).not.toContain("sentinel");
        },
      ),
  },
];
