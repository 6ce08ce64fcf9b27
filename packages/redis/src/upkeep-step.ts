import type { Counted, DayKey } from "./counted.ts";

/** What ended or goes on. */
export type UpkeepStep =
  | {
      readonly do: "release";
      readonly counted: Counted;
      readonly id: string;
      /** As it stands in Redis; undefined where no list counts it. */
      readonly subject: string | undefined;
    }
  | {
      readonly do: "beat";
      readonly counted: Counted;
      readonly id: string;
      readonly subject: string | undefined;
      /** When it was known to go on, by the caller's monotonic clock. */
      readonly atMs: number;
      readonly leaseMs: number;
    }
  | {
      /** Not a request but this process, among those that share the limits. */
      readonly do: "join";
      readonly counted: Counted;
      readonly id: string;
      readonly atMs: number;
      readonly leaseMs: number;
    }
  | {
      readonly do: "settle";
      readonly reserved: DayKey;
      readonly id: string;
      readonly usage: { readonly inputTokens: number; readonly outputTokens: number } | undefined;
    }
  | { readonly do: "void"; readonly reserved: DayKey; readonly id: string };

/** Where it is carried out. */
export const placeOf = (step: UpkeepStep): Counted | DayKey =>
  step.do === "settle" || step.do === "void" ? step.reserved : step.counted;
