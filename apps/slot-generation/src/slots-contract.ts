import { FailureCode, defineContract } from "@sluice/guard";
import { z } from "zod";

const slot = z.strictObject({
  title: z.string().min(1).max(200),
  minutes: z.int().min(1).max(240),
});

export const maxSlots = 20;

const slots = z.array(slot).min(1).max(maxSlots);

/** What the model is asked for. */
export const SlotsOk = z.strictObject({ status: z.literal("OK"), slots });

export const SlotsFailed = z.strictObject({
  status: z.literal("FAILED"),
  code: z.enum(FailureCode),
  slots: z.array(slot).max(0),
});

/** The same shape, made without a model. */
export const SlotsStub = z.strictObject({ status: z.literal("STUB"), slots });

export type Slots = z.infer<typeof SlotsOk | typeof SlotsFailed | typeof SlotsStub>;

export const slotsContract = defineContract({
  ok: SlotsOk,
  failed: SlotsFailed,
  stub: SlotsStub,
});
