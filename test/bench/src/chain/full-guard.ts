import { createGuard, defineContract, envFlags, memoryAdmission, type Guard } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import { z } from "zod";

export interface Job {
  readonly id: string;
  readonly metadata: { readonly allowAI: boolean; readonly board: string };
}

export const job: Job = { id: "job-1", metadata: { allowAI: true, board: "aqa" } };

/** What is guarded: the cheapest work there is, so that what remains is the guard's own cost. */
export function executor(): Promise<{ status: "OK"; slots: string[] }> {
  return Promise.resolve({ status: "OK", slots: ["one"] });
}

const limit = 1_000_000;

/** A guard with every gate on, in enforce, on local stores, with flags from the environment. */
export function fullGuard(
  environment: Readonly<Record<string, string>>,
): Guard<Job, unknown, unknown, unknown> {
  Object.assign(process.env, environment);
  return createGuard({
    feature: "bench",
    contract: defineContract({
      ok: z.object({ status: z.literal("OK"), slots: z.array(z.string()) }),
      failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
      stub: z.object({ status: z.literal("STUB") }),
    }),
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: (_job: Job) => ({ status: "STUB" }),
    provider: functionProvider<Job>(executor),
    flags: envFlags(),
    optIn: ({ metadata }) => metadata.allowAI,
    allowlist: [{ board: "aqa" }],
    budget: { callsPerRun: Number.MAX_SAFE_INTEGER, maxOutputTokens: 800 },
    admission: memoryAdmission({
      userInFlight: { limit },
      globalInFlight: { limit },
      messageRate: { count: limit, perMs: 1 },
    }),
    tripwire: { scope: "process", errorRate: { max: 0.5 } },
    onFailure: "failed",
  });
}
