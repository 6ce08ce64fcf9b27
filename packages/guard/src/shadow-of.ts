import type { ParityFigures } from "@sluice/contract";
import type { Assembly } from "./assemble-guard.ts";
import type { ShadowGuard } from "./guard.ts";
import { guardOf, type Around, type GuardHandle } from "./guard-of.ts";
import { parityFigures } from "./parity-figures.ts";

/** A shadow, and what only its parent may do. */
export interface ShadowHandle<In, Ok, Failed, Stub> extends GuardHandle<In, Ok, Failed, Stub> {
  readonly guard: ShadowGuard<In, Ok, Failed, Stub>;
}

/** What a caller sees of the parts of a shadow. */
export function shadowOf<In, Ok, Failed, Stub>(
  assembly: Assembly<In, Ok, Failed, Stub>,
  around: Around<In, Ok, Failed, Stub>,
): ShadowHandle<In, Ok, Failed, Stub> {
  const { feature, events, safety } = assembly;
  const { guard, check } = guardOf(assembly, around);
  return {
    check,
    guard: Object.assign(guard, {
      noteParity(figures: ParityFigures): void {
        if (!events.metered || safety.shut()?.closed === true) return;
        const parsed = parityFigures(figures);
        if (parsed === undefined) return;
        events.sample(() => ({ kind: "parity", feature, arm: "shadow", figures: parsed }));
      },
    }),
  };
}
