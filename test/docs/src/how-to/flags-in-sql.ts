// #region
import { randomUUID } from "node:crypto";
import { createGuard, systemClock } from "@sluice/guard";
import { migrate, postgres, sqlFlags, sqlInstance } from "@sluice/sql";
// #endregion
import { defineContract } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import { z } from "zod";

export const page = "docs/how-to/flags-in-sql.md";

const options = {
  feature: "faq_ai",
  contract: defineContract({
    ok: z.object({ status: z.literal("OK"), reply: z.string() }),
    failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  }),
  failed: ({ code }: { readonly code: string }) => ({ status: "FAILED" as const, code }),
  stub: () => ({ status: "OK" as const, reply: "A person will answer you today." }),
  provider: functionProvider((text: string) => ({ status: "OK", reply: text })),
  onFailure: "stub" as const,
};

/** What the page wires up. */
export async function wire(connectionString: string) {
  // #region +
  const db = postgres({ connectionString });
  await migrate(db);
  const flags = sqlFlags(db, {
    clock: systemClock,
    random: Math.random,
    variables: process.env, // for kills and switches
  });
  const instance = sqlInstance(db, { clock: systemClock, instanceId: randomUUID(), flags });
  const guard = createGuard({ ...options, flags });
  await flags.ready();
  // #endregion
  return { db, flags, instance, guard };
}
