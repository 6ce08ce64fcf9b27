import type { Clock } from "@sluice/contract";
import type { Session } from "../cli-context.ts";
import type { DoctorCheck } from "./doctor-check.ts";

export interface ClockCheck extends DoctorCheck {
  /** How far the server's clock is ahead of this machine's; negative where it is behind. */
  readonly aheadMs: number;
}

const tolerableMs = 1000;

/** Times in the table are the server's: told where this machine's clock is another, and no fault. */
export async function checkClock({ db }: Session, clock: Clock): Promise<ClockCheck> {
  const askedMs = clock.wallMs();
  const { rows } = await db.query<{ now_ms: number }>(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::double precision AS now_ms",
  );
  const answeredMs = clock.wallMs();
  // The server looked at its clock at some time in between.
  const doubtMs = (answeredMs - askedMs) / 2;
  const aheadMs = Math.round((rows[0]?.now_ms ?? Number.NaN) - (askedMs + doubtMs));
  const seconds = (Math.abs(aheadMs) / 1000).toFixed(1);
  const detail =
    Math.abs(aheadMs) - doubtMs > tolerableMs
      ? `the server's is ${seconds} s ${aheadMs > 0 ? "ahead of" : "behind"} this machine's`
      : "within 1 s of this machine's";
  return { check: "clock", ok: true, detail, aheadMs };
}
