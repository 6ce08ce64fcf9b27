import { defineContract, FailureCode, type Failure } from "@sluice/contract";
import { z } from "zod";

/** A job of the sample feature. */
export interface SampleJob {
  readonly prompt: string;
  readonly allowAI?: boolean;
}

export const sampleContract = defineContract({
  ok: z.object({ status: z.literal("OK"), text: z.string(), words: z.int().min(0) }),
  failed: z.object({ status: z.literal("FAILED"), code: z.enum(FailureCode) }),
  stub: z.object({ status: z.literal("STUB"), text: z.string() }),
});

export const sampleAnswer = { status: "OK", text: "an answer", words: 2 } as const;
export const sampleStub = { status: "STUB", text: "the safe path" } as const;

/** What any guard of the sample feature is made with, whatever else a test adds. */
export const sampleFeature = {
  feature: "sample_ai",
  contract: sampleContract,
  failed: (failure: Failure) => ({ status: "FAILED", code: failure.code }) as const,
  stub: (_job: SampleJob) => sampleStub,
  onFailure: "failed",
  openTelemetry: false,
} as const;
