import { z } from "zod";

/** How many tool calls of a process run at once, and how many may wait for how long. */
export const toolQueueOptionsSchema = z.strictObject({
  /** Calls that run at the same time. */
  concurrency: z.int().min(1).max(1000).default(16),
  /** Calls that may wait. */
  maxWaiting: z.int().min(0).max(10_000).default(100),
  /** Bytes of the arguments of all that wait. */
  maxWaitingBytes: z
    .int()
    .min(0)
    .max(256 * 1024 * 1024)
    .default(1024 * 1024),
  /** The longest wait; the request's deadline may end it earlier. */
  timeoutMs: z.int().min(1).max(600_000).default(5000),
});

export type ToolQueueOptions = Readonly<z.input<typeof toolQueueOptionsSchema>>;
export type ToolQueueSettings = Readonly<z.output<typeof toolQueueOptionsSchema>>;
