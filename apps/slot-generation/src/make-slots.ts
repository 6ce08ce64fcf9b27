import type { z } from "zod";
import type { Job } from "./job.ts";
import type { SlotsStub } from "./slots-contract.ts";

/** Slots without a model: the minutes shared out evenly, titles from the metadata. The same job always gets the same. */
export function makeSlots(job: Job): z.infer<typeof SlotsStub> {
  const { subject, kind = "practice" } = job.metadata;
  const name = subject === undefined ? kind : `${subject} ${kind}`;
  const share = Math.floor(job.minutes / job.slots);
  const longer = job.minutes % job.slots;
  return {
    status: "STUB",
    slots: Array.from({ length: job.slots }, (_, index) => ({
      title: `${name} ${index + 1} of ${job.slots}`,
      minutes: share + (index < longer ? 1 : 0),
    })),
  };
}
