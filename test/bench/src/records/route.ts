import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { guardRoute } from "@sluice/express";
import autocannon from "autocannon";
import express from "express";
import { z } from "zod";
import { guardWith, type EventSink } from "./contenders.ts";

export interface Route {
  /** Requests answered per second, by ten connections from another thread. */
  load(path: string, seconds: number): Promise<{ perSecond: number; failed: number }>;
  close(): void;
}

/** An Express app of this process with a guarded route per sink, at the path of its name. */
export async function startRoute(sinks: Readonly<Record<string, EventSink>>): Promise<Route> {
  const app = express().disable("x-powered-by");
  for (const [name, sink] of Object.entries(sinks)) {
    const options = { subject: () => "user-1", input: z.string() };
    app.post(`/${name}`, express.json({ strict: false }), guardRoute(guardWith(sink), options));
  }
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    async load(path, seconds) {
      const result = await autocannon({
        url: `http://127.0.0.1:${port}/${path}`,
        connections: 10,
        workers: 1,
        duration: seconds,
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '"Is it open today?"',
      });
      return {
        perSecond: result.requests.average,
        failed: result.non2xx + result.errors + result.timeouts,
      };
    },
    close: () => void server.close(),
  };
}
