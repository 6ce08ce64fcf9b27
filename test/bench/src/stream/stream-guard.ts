import {
  createGuard,
  defineContract,
  envFlags,
  memoryAdmission,
  type Guard,
  type GuardOptions,
} from "@sluice/guard";
import { z } from "zod";

export interface Question {
  readonly text: string;
}

const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string().min(1) }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB") }),
  text: { field: "reply", forbidden: ["internal use only", "as an ai language model"] },
});

type Ok = typeof contract.ok;
type Failed = typeof contract.failed;
type Stub = typeof contract.stub;
type Provider = NonNullable<GuardOptions<Question, Ok, Failed, Stub>["provider"]>;

const limit = 1_000_000;

/** A guard of plain text with every gate on, in enforce; its flags come from the environment. */
export function streamGuard(
  provider: Provider,
): Guard<Question, z.output<Ok>, z.output<Failed>, z.output<Stub>> {
  return createGuard({
    feature: "bench",
    contract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "STUB" }),
    provider,
    flags: envFlags(),
    optIn: ({ text }) => text !== "",
    allowlist: [{ board: "aqa" }],
    budget: { callsPerRun: 4, tokensPerRun: 100_000, maxOutputTokens: 800 },
    admission: memoryAdmission({
      userInFlight: { limit },
      globalInFlight: { limit },
      messageRate: { count: limit, perMs: 1 },
    }),
    tripwire: { scope: "process", errorRate: { max: 0.5 } },
    // On a busy machine the pace is slower than it was meant; that is not what is measured.
    timeoutMs: 120_000,
    totalTimeoutMs: 120_000,
    onFailure: "failed",
  });
}

/** What the gates look at. */
export const attributes = { board: "aqa" };
