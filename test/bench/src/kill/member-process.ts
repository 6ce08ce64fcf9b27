import { createGuard, defineContract, systemClock } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import { postgres, sqlFlags } from "@sluice/sql";
import { z } from "zod";
import { momentMs } from "./moment-ms.ts";

/**
 * One process of the fleet. Serves ten calls every two milliseconds, and says when the path of a call
 * was another than that of the call before: `open`, or `shut` with the moment of that call.
 */
const [connectionString = "", mode = "notify"] = process.argv.slice(2);

const flags = sqlFlags(postgres({ connectionString, applicationName: "bench" }), {
  clock: systemClock,
  random: Math.random,
  listen: mode === "notify",
  exclusive: true,
  names: { prefix: "p3_" },
});
const guard = createGuard({
  feature: "p3_advisory",
  contract: defineContract({
    ok: z.object({ status: z.literal("OK") }),
    failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
    stub: z.object({ status: z.literal("STUB") }),
  }),
  failed: ({ code }) => ({ status: "FAILED", code }),
  stub: (_input: { readonly id: string }) => ({ status: "STUB" }),
  provider: functionProvider<{ readonly id: string }>(() => Promise.resolve({ status: "OK" })),
  flags,
  onFailure: "failed",
});

let open: boolean | undefined;
let served = 0;
let errors = 0;

async function serve(): Promise<void> {
  served += 1;
  const outcome = await guard.run({ id: "one" }, { subject: `user-${served}` });
  if (outcome.status === "FAILED") errors += 1;
  const passed = outcome.status === "SUCCEEDED";
  if (passed === open) return;
  open = passed;
  process.send?.({ open, atMs: momentMs(), served, errors });
}

await flags.ready();
setInterval(() => {
  for (let call = 0; call < 10; call += 1) void serve();
}, 2);
