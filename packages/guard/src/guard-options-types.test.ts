import { defineContract } from "@sluice/contract";
import { expect, it } from "vitest";
import { z } from "zod";
import { createGuard } from "./create-guard.ts";
import { staticFlags } from "./flags/static-flags.ts";
import type { GuardOptions } from "./guard-options.ts";

const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), slots: z.array(z.string()) }),
  failed: z.object({ status: z.literal("FAILED"), slots: z.array(z.string()) }),
});

const base = {
  feature: "typed",
  contract,
  flags: staticFlags({}),
  provider: {
    name: "none",
    generate: () => Promise.resolve({ ok: false, code: "INTERNAL", dispatched: false } as const),
  },
} as const;

it("takes plain literals for the values of the contract, without `as const`", () => {
  const guard = createGuard({
    ...base,
    failed: () => ({ status: "FAILED", slots: [] }),
    stub: async (_job: { readonly id: string }) => ({ status: "OK", slots: ["a"] }),
    onFailure: "failed",
  });
  expect(guard.feature).toBe("typed");
  guard.close();
});

it("makes a forgotten failure policy a type error and a config error", () => {
  const options = {
    ...base,
    failed: () => ({ status: "FAILED", slots: [] }) as const,
    stub: () => ({ status: "OK", slots: [] }) as const,
  };
  // @ts-expect-error -- there is no default: `onFailure` must be chosen
  expect(() => createGuard(options)).toThrow(/onFailure: got nothing, expected one of/);
});

it("makes a stub's value outside the contract a type error", () => {
  const guard = createGuard({
    ...base,
    failed: () => ({ status: "FAILED", slots: [] }),
    // @ts-expect-error -- the contract has no status MAYBE
    stub: () => ({ status: "MAYBE", slots: [] }),
    onFailure: "failed",
  });
  guard.close();
  expect(guard.inFlight).toBe(0);
});

it("makes undeclared and textual measures type errors", () => {
  const guard = createGuard({
    ...base,
    failed: () => ({ status: "FAILED", slots: [] }),
    measures: z.strictObject({ made: z.int(), size: z.enum(["s", "l"]) }),
    stub: (_job: unknown, context) => {
      context.measure({ made: 1, size: "s" });
      // @ts-expect-error -- not declared
      context.measure({ other: 1 });
      // @ts-expect-error -- not a member of the enum
      context.measure({ size: "anything" });
      return { status: "OK", slots: [] };
    },
    onFailure: "failed",
  });
  guard.close();
  const none = createGuard({
    ...base,
    failed: () => ({ status: "FAILED", slots: [] }),
    stub: (_job: unknown, context) => {
      // @ts-expect-error -- nothing is declared
      context.measure({ made: 1 });
      return { status: "OK", slots: [] };
    },
    onFailure: "failed",
  });
  none.close();
  type Text = GuardOptions<
    unknown,
    typeof contract.ok,
    typeof contract.failed,
    typeof contract.ok,
    // @ts-expect-error -- free text could carry content
    z.ZodObject<{ note: z.ZodString }, z.core.$strict>
  >;
  expect<Text | undefined>(undefined).toBeUndefined();
});
