import type { PromptMessage } from "@sluice/providers";
import type { Job } from "./job.ts";

/** What the model is asked. */
export function slotPrompt(job: Job): readonly PromptMessage[] {
  const { subject, board, specVersion, kind } = job.metadata;
  const lines = [
    ["Subject", subject],
    ["Exam board", board],
    ["Specification", specVersion],
    ["Kind", kind],
    ["Number of slots", job.slots],
    ["Minutes in all", job.minutes],
  ]
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}`);
  return [
    {
      role: "system",
      content:
        "You plan study sessions. Divide the session into the number of slots asked for, each with a short title and its minutes; the minutes add up to the total. Answer with status OK.",
    },
    { role: "user", content: `${lines.join("\n")}\n\n${job.prompt}` },
  ];
}
