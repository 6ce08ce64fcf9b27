import { defineTool } from "@sluice/guard";
import { z } from "zod";

const days = [
  "monday",
  "tuesday",
  "wednesday",
  "thursday",
  "friday",
  "saturday",
  "sunday",
] as const;

/** What the model may ask for. It changes nothing, so a shadow may run it too. */
export const openingHours = defineTool({
  description: "Tells when the shop is open on a day of the week.",
  input: z.object({ day: z.enum(days) }),
  safe: true,
  run({ day }) {
    if (day === "sunday") return { day, open: false };
    return { day, open: true, from: "09:00", to: day === "saturday" ? "13:00" : "18:00" };
  },
});
