import { switchNames } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { opened, withSource, type OpenFlagSource } from "./bench.ts";

const strangeNames = ["", "unknown", "__proto__", "constructor", "toString", "a=b", "a\nb", "🧪"];

export const readChecks: readonly Check<OpenFlagSource>[] = [
  {
    name: "reads what is set of a feature",
    run: (open) =>
      withSource(
        open,
        { ...opened, CHAT_AI_ROLLOUT_PERCENT: "20", CHAT_AI_ALLOWLIST: "ann,ben" },
        ({ read }) => {
          expect(read()).toMatchObject({
            enabled: true,
            killed: false,
            percent: 20,
            allowlist: ["ann", "ben"],
            salt: "chat_ai",
            problems: [],
          });
        },
      ),
  },
  {
    name: "reads a kill",
    run: (open) =>
      withSource(open, { ...opened, CHAT_AI_KILL: "true" }, ({ read }) => {
        expect(read()).toMatchObject({ enabled: true, killed: true, problems: [] });
      }),
  },
  {
    name: "has no opinion on subjects and leaves 100 % where nothing is set of them",
    run: (open) =>
      withSource(open, opened, ({ read }) => {
        expect(read()).toMatchObject({ enabled: true, percent: 100, allowlist: undefined });
      }),
  },
  {
    name: "reads each feature by its own variables",
    run: (open) =>
      withSource(
        open,
        { ...opened, FEATURE_SLOTGEN_AI: "true", SLOTGEN_AI_KILL: "true" },
        ({ source }) => {
          expect(source.read("chat_ai")).toMatchObject({ enabled: true, killed: false });
          expect(source.read("slotgen_ai")).toMatchObject({ enabled: true, killed: true });
          expect(source.read("slotgen_ai").salt).toBe("slotgen_ai");
        },
      ),
  },
  {
    name: "reads a feature that it does not know as disabled, whatever its name",
    run: (open) =>
      withSource(open, opened, ({ source }) => {
        for (const name of strangeNames) expect(source.read(name).enabled, name).toBe(false);
      }),
  },
  {
    name: "reads every switch of the gateway as true or false",
    run: (open) =>
      withSource(open, opened, ({ source }) => {
        const { switches } = source.readSwitches();
        for (const name of switchNames) expect(typeof switches[name], name).toBe("boolean");
        expect(switches.FF_CHAT_GATEWAY_ENABLED).toBe(false);
      }),
  },
  {
    name: "hands out the same flags for as long as nothing changes",
    run: (open) =>
      withSource(open, opened, async ({ read, settle }) => {
        const flags = read();
        expect(read()).toBe(flags);
        await settle();
        expect(read()).toBe(flags);
      }),
  },
  {
    name: "knows when its flags were last confirmed, or that they can't grow stale",
    run: (open) =>
      withSource(open, opened, async ({ source, settle }) => {
        const before = source.confirmedAt();
        await settle();
        const after = source.confirmedAt();
        expect(after === undefined).toBe(before === undefined);
        expect(Number.isFinite(after?.wallMs ?? 0)).toBe(true);
        expect(after?.monotonicMs ?? 0).toBeGreaterThanOrEqual(before?.monotonicMs ?? 0);
      }),
  },
  {
    name: "goes on reading after it was closed, however often",
    run: (open) =>
      withSource(open, opened, async ({ source, read, settle }) => {
        source.close();
        source.close();
        await settle();
        expect(read().enabled).toBe(true);
        expect(source.read("unknown").enabled).toBe(false);
        expect(source.readSwitches().switches.FF_CHAT_GATEWAY_ENABLED).toBe(false);
      }),
  },
];
