// #region
import { defineTool, memoryAdmission } from "@sluice/guard";
import { z } from "zod";
// #endregion
import type { FlagSource, Provider } from "@sluice/contract";
import { createGuard, defineContract, type Guard } from "@sluice/guard";

export interface Question {
  readonly text: string;
}

export interface Orders {
  find(
    id: string,
    options: { readonly owner: string; readonly signal: AbortSignal },
  ): Promise<{ readonly state: string } | undefined>;
}

const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string() }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  text: { field: "reply" },
});

export function guardWithTools(
  provider: Provider<Question>,
  orders: Orders,
  flags: FlagSource,
): Guard<Question, unknown, unknown, unknown> {
  // #region +
  const findOrder = defineTool({
    description: "Finds an order of the customer by its number.",
    input: z.object({ number: z.string().regex(/^\d{1,12}$/) }),
    timeoutMs: 2000,
    run: async ({ number }, { subject, signal }) =>
      (await orders.find(number, { owner: subject, signal })) ?? { error: "no such order" },
  });
  // #endregion
  return createGuard({
    feature: "help_ai",
    contract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "OK", reply: "A person will answer you today." }),
    provider,
    flags,
    onFailure: "failed",
    sinks: [() => undefined],
    // #region
    tools: { find_order: findOrder },
    maxToolSteps: 3, // turns that may call tools
    toolQueue: { concurrency: 8, maxWaiting: 50, timeoutMs: 3000 },
    admission: memoryAdmission({ toolRate: { count: 300, perMs: 60_000 } }),
    budget: { callsPerRun: 4, maxOutputTokens: 800 }, // each turn is a call
    // #endregion
  });
}
