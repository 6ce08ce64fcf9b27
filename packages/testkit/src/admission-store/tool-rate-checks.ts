import { Reason, type GateMode } from "@sluice/contract";
import { expect } from "vitest";
import type { Check } from "../conformance.ts";
import { withStore, type AdmissionStoreOptions, type CreateAdmissionStore } from "./bench.ts";

const leaseMs = 1000;

/** Room for exactly one tool call. */
const one = (mode: GateMode): AdmissionStoreOptions => ({
  leaseMs,
  toolRate: { count: 1, perMs: 60_000, burst: 1, mode },
});

export const toolRateChecks: readonly Check<CreateAdmissionStore>[] = [
  {
    name: "lets exactly the burst of tool calls run at once, and then one each interval, whoever asks",
    run: (create) =>
      withStore(
        create,
        { leaseMs, toolRate: { count: 2, perMs: 1000, burst: 5 } },
        async ({ clock, takeTool }) => {
          for (let i = 0; i < 5; i += 1) {
            expect(await takeTool(`subject-${i}`)).toEqual({ allowed: true });
          }
          expect(await takeTool("more")).toMatchObject({ reason: Reason.TOOL_RATE });
          for (let i = 0; i < 5; i += 1) {
            await clock.advanceAsync(500);
            expect(await takeTool("next")).toEqual({ allowed: true });
            expect(await takeTool("more")).toMatchObject({ allowed: false });
          }
        },
      ),
  },
  {
    name: "tells a refused tool call when another try succeeds, and no earlier one does",
    run: (create) =>
      withStore(
        create,
        { leaseMs, toolRate: { count: 1, perMs: 1000, burst: 1 } },
        async ({ clock, takeTool }) => {
          await takeTool("ann");
          await clock.advanceAsync(400);
          expect(await takeTool("ann")).toMatchObject({ allowed: false, retryAfterMs: 600 });
          await clock.advanceAsync(599);
          expect(await takeTool("ann")).toMatchObject({ allowed: false });
          await clock.advanceAsync(1);
          expect(await takeTool("ann")).toEqual({ allowed: true });
        },
      ),
  },
  {
    name: "saves up no more tool calls than the burst over a long silence",
    run: (create) =>
      withStore(
        create,
        { leaseMs, toolRate: { count: 10, perMs: 1000, burst: 2 } },
        async ({ clock, takeTool }) => {
          await takeTool("ann");
          await clock.advanceAsync(60_000);
          for (const allowed of [true, true, false]) {
            expect(await takeTool("ann")).toMatchObject({ allowed });
          }
        },
      ),
  },
  {
    name: "takes neither a place nor a message of the rate for a tool call, nor the other way round",
    run: (create) =>
      withStore(
        create,
        {
          leaseMs,
          userInFlight: { limit: 1 },
          globalInFlight: { limit: 1 },
          messageRate: { count: 1, perMs: 60_000, burst: 1 },
          toolRate: { count: 1, perMs: 60_000, burst: 2 },
        },
        async ({ take, takeTool, refusal }) => {
          expect(await takeTool("ann")).toEqual({ allowed: true });
          await take("ann");
          expect(await takeTool("ann")).toEqual({ allowed: true });
          expect(await takeTool("ann")).toMatchObject({ allowed: false });
          await refusal("ann");
        },
      ),
  },
  {
    name: "never refuses a tool call by a rate in shadow, says what it would have refused, and takes nothing for it",
    run: (create) =>
      withStore(create, one("shadow"), async ({ clock, takeTool }) => {
        expect(await takeTool("ann")).toEqual({ allowed: true });
        for (let i = 0; i < 5; i += 1) {
          expect(await takeTool("ann")).toEqual({ allowed: true, would: Reason.TOOL_RATE });
        }
        await clock.advanceAsync(60_000);
        expect(await takeTool("ann")).toEqual({ allowed: true });
      }),
  },
  {
    name: "neither refuses nor says anything of a tool call where the rate is off or there is none",
    async run(create) {
      for (const options of [one("off"), { leaseMs }]) {
        await withStore(create, options, async ({ takeTool }) => {
          for (let i = 0; i < 5; i += 1) expect(await takeTool("ann")).toEqual({ allowed: true });
        });
      }
    },
  },
  {
    name: "takes the mode that a tool call brings in place of its own",
    async run(create) {
      for (const its of ["enforce", "shadow", "off"] as const) {
        await withStore(create, one(its), async ({ takeTool }) => {
          expect(await takeTool("ann", "enforce"), its).toEqual({ allowed: true });
          expect(await takeTool("ann", "enforce"), its).toMatchObject({ allowed: false });
          expect(await takeTool("ann", "shadow"), its).toEqual({
            allowed: true,
            would: Reason.TOOL_RATE,
          });
          expect(await takeTool("ann", "off"), its).toEqual({ allowed: true });
        });
      }
    },
  },
  {
    name: "enforces a tool rate whose mode was not given",
    run: (create) =>
      withStore(
        create,
        { leaseMs, toolRate: { count: 1, perMs: 60_000, burst: 1 } },
        async ({ takeTool }) => {
          await takeTool("ann");
          expect(await takeTool("ann")).toMatchObject({ allowed: false });
        },
      ),
  },
];
