import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createGuard, defineContract, staticFlags } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import express from "express";
import { expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { mountProbe } from "./verify-a-feature.ts";

it("the route answers whom the feature lets in, and runs the sample", async () => {
  const asked: string[] = [];
  const guard = createGuard({
    feature: "p3_advisory",
    contract: defineContract({
      ok: z.object({ status: z.literal("OK") }),
      failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
    }),
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "OK" }),
    provider: functionProvider(({ text }: { readonly text: string }) => {
      asked.push(text);
      return Promise.resolve({ status: "OK" });
    }),
    flags: staticFlags({ p3_advisory: { enabled: true } }),
    onFailure: "failed",
  });
  const app = express();
  mountProbe(app, guard, "a-token-of-the-page");
  const server = app.listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/sluice/probe`, {
    method: "POST",
    headers: { authorization: "Bearer a-token-of-the-page", "content-type": "application/json" },
    body: JSON.stringify({ subjects: ["ann"], run: true }),
  });
  expect(await response.json()).toMatchObject({
    feature: "p3_advisory",
    results: [{ path: "ai", status: "SUCCEEDED" }],
  });
  expect(asked).toEqual(["What are your opening hours?"]);
});
