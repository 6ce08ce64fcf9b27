import { randomUUID } from "node:crypto";
import { oneLine, type Clock } from "@sluice/contract";
import type { Session } from "../cli-context.ts";
import type { DoctorCheck } from "./doctor-check.ts";

const listenTimeoutMs = 3000;

/** On a channel of its own, so that no reader of flags is woken. */
export async function checkListen({ db }: Session, clock: Clock): Promise<DoctorCheck> {
  const channel = `sluice_doctor_${randomUUID().replaceAll("-", "")}`;
  const heard = Promise.withResolvers<string>();
  const cancel = clock.after(listenTimeoutMs, () =>
    heard.resolve("nothing was heard; behind a transaction pooler flags are polled only"),
  );
  try {
    const listener = await db.listen(channel, {
      onNotify: () => heard.resolve(""),
      onEnd: () => heard.resolve("the connection ended"),
    });
    try {
      await db.query("SELECT pg_notify($1, '')", [channel]);
      const fault = await heard.promise;
      return {
        check: "listen",
        ok: fault === "",
        detail: fault === "" ? "NOTIFY is heard" : fault,
      };
    } finally {
      listener.close();
    }
  } catch (error) {
    const detail = error instanceof Error ? oneLine(error.message) : "failed";
    return { check: "listen", ok: false, detail };
  } finally {
    cancel();
  }
}
