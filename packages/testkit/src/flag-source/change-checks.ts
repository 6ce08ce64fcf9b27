import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { opened, withSource, type OpenFlagSource } from "./bench.ts";

export const changeChecks: readonly Check<OpenFlagSource>[] = [
  {
    name: "reads a change, and by other flags than before",
    run: (open) =>
      withSource(open, opened, async ({ read, change }) => {
        const before = read();
        await change({ ...opened, CHAT_AI_ROLLOUT_PERCENT: "5" });
        expect(read()).not.toBe(before);
        expect(read().percent).toBe(5);
        expect(before.percent).toBe(100);
      }),
  },
  {
    name: "reads a kill that comes, and one that is taken back",
    run: (open) =>
      withSource(open, opened, async ({ read, change }) => {
        await change({ ...opened, CHAT_AI_KILL: "true" });
        expect(read().killed).toBe(true);
        await change({ ...opened, CHAT_AI_KILL: "false" });
        expect(read()).toMatchObject({ enabled: true, killed: false });
      }),
  },
  {
    name: "reads what is not set any more as if it had never been",
    run: (open) =>
      withSource(
        open,
        {
          ...opened,
          CHAT_AI_KILL: "true",
          CHAT_AI_ROLLOUT_PERCENT: "0",
          CHAT_AI_ALLOWLIST: "ann",
        },
        async ({ read, change }) => {
          await change(opened);
          expect(read()).toMatchObject({
            enabled: true,
            killed: false,
            percent: 100,
            allowlist: undefined,
          });
          await change({});
          expect(read().enabled).toBe(false);
        },
      ),
  },
  {
    name: "reads a feature that appears later",
    run: (open) =>
      withSource(open, opened, async ({ source, change }) => {
        expect(source.read("slotgen_ai").enabled).toBe(false);
        await change({ ...opened, FEATURE_SLOTGEN_AI: "true" });
        expect(source.read("slotgen_ai").enabled).toBe(true);
      }),
  },
  {
    name: "reads the last of many changes",
    run: (open) =>
      withSource(open, opened, async ({ read, change }) => {
        for (const percent of [1, 50, 2, 100, 7]) {
          await change({ ...opened, CHAT_AI_ROLLOUT_PERCENT: String(percent) });
          expect(read().percent).toBe(percent);
        }
      }),
  },
];

export const tellingChecks: readonly Check<OpenFlagSource>[] = [
  {
    name: "tells every listener of a change once it can be read",
    run: (open) =>
      withSource(open, opened, async ({ source, read, change }) => {
        const heard: boolean[][] = [[], []];
        for (const list of heard) source.onChange(() => list.push(read().killed));
        await change({ ...opened, CHAT_AI_KILL: "true" });
        for (const list of heard) expect(list).toContain(true);
        await change(opened);
        for (const list of heard) expect(list.at(-1)).toBe(false);
      }),
  },
  {
    name: "tells the others although one listener throws, and goes on reading",
    run: (open) =>
      withSource(open, opened, async ({ source, read, change }) => {
        let told = 0;
        source.onChange(() => {
          throw new Error("planted");
        });
        source.onChange(() => {
          told += 1;
        });
        await change({ ...opened, CHAT_AI_KILL: "true" });
        expect(told).toBeGreaterThan(0);
        await change(opened);
        expect(read()).toMatchObject({ enabled: true, killed: false });
      }),
  },
  {
    name: "tells no listener that was taken away, nor any after it was closed",
    run: (open) =>
      withSource(open, opened, async ({ source, change }) => {
        let away = 0;
        let kept = 0;
        const stop = source.onChange(() => {
          away += 1;
        });
        source.onChange(() => {
          kept += 1;
        });
        stop();
        stop();
        await change({ ...opened, CHAT_AI_KILL: "true" });
        expect(away).toBe(0);
        expect(kept).toBeGreaterThan(0);
        const before = kept;
        source.close();
        await change(opened);
        expect(kept).toBe(before);
      }),
  },
];
