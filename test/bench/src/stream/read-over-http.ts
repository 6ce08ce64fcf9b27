import { request, type Agent } from "node:http";
import { toText, type Pace } from "./pace.ts";
import { age } from "./stamp.ts";

/**
 * How a stream ended: `whole` with every piece of its text and then one terminal event, `failed` with a
 * terminal event that says so, `cut` in any other way.
 */
export type Ending = "whole" | "failed" | "cut";

interface Told {
  readonly type: string;
  readonly text?: string;
}

/** Reads one answer of an application's route. `onDelay` is told how old each piece was, in milliseconds. */
export function readOverHttp(
  from: {
    readonly port: number;
    readonly agent: Agent;
    readonly user: string;
    readonly pace: Pace;
  },
  onDelay: (ms: number) => void,
): Promise<Ending> {
  const { promise, resolve } = Promise.withResolvers<Ending>();
  const body = JSON.stringify({ text: toText(from.pace) });
  const asking = request({
    port: from.port,
    host: "127.0.0.1",
    agent: from.agent,
    method: "POST",
    path: "/api",
    headers: {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      accept: "text/event-stream",
      "x-user": from.user,
    },
  });
  asking.on("error", () => resolve("cut"));
  asking.on("response", (res) => {
    let rest = "";
    let pieces = 0;
    let terminal = "";
    res.setEncoding("utf8");
    res.on("data", (text: string) => {
      const events = (rest + text).split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) {
        const told = JSON.parse(event.slice("data: ".length)) as Told;
        if (told.type === "text-delta") {
          const delay = age(told.text ?? "");
          if (delay === undefined) continue;
          pieces += 1;
          onDelay(delay);
        } else if (told.type !== "usage") terminal += told.type;
      }
    });
    res.on("error", () => resolve("cut"));
    res.on("close", () => {
      if (!res.complete || rest !== "") resolve("cut");
      else if (terminal === "finish" && pieces === from.pace.chunks) resolve("whole");
      else resolve(terminal === "failed" ? "failed" : "cut");
    });
  });
  asking.end(body);
  return promise;
}
