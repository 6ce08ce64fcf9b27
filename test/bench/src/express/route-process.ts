import type { AddressInfo } from "node:net";
import { guardRoute } from "@sluice/express";
import { createGuard, defineContract, envFlags, memoryAdmission } from "@sluice/guard";
import { openaiProvider } from "@sluice/providers";
import express, { type Express } from "express";
import OpenAI from "openai";
import { z } from "zod";

/** The route that is measured, bare or guarded, in a process of its own. */
const [kind, upstream] = process.argv.slice(2);
const baseUrl = `http://127.0.0.1:${upstream}/v1`;
const model = "bench";
const ok = z.object({ status: z.literal("OK"), reply: z.string() });
const input = z.object({ text: z.string().min(1) });

/** What one writes without a guard: the client and the schema; at best, an abort when the client leaves. */
function bare(app: Express, aborts: boolean): void {
  const schema = z.toJSONSchema(ok);
  const client = new OpenAI({ apiKey: "bench", baseURL: baseUrl, maxRetries: 0 });
  app.post("/api", express.json(), async (req, res) => {
    const { text } = input.parse(req.body);
    const leaving = new AbortController();
    if (aborts) {
      res.once("close", () => {
        if (!res.writableFinished) leaving.abort();
      });
    }
    const completion = await client.chat.completions.create(
      {
        model,
        messages: [{ role: "user", content: text }],
        max_completion_tokens: 800,
        response_format: {
          type: "json_schema",
          json_schema: { name: "answer", strict: true, schema },
        },
      },
      aborts ? { signal: leaving.signal } : {},
    );
    res.json(ok.parse(JSON.parse(completion.choices[0]?.message.content ?? "")));
  });
}

function guarded(app: Express): void {
  const limit = 1_000_000;
  const guard = createGuard({
    feature: "bench",
    contract: defineContract({
      ok,
      failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
    }),
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "OK", reply: "stub" }),
    provider: openaiProvider({
      model,
      apiKey: "bench",
      baseUrl,
      prompt: ({ text }: z.output<typeof input>) => text,
    }),
    flags: envFlags(),
    budget: { callsPerRun: 1, tokensPerRun: 100_000, maxOutputTokens: 800 },
    admission: memoryAdmission({
      userInFlight: { limit },
      globalInFlight: { limit },
      messageRate: { count: limit, perMs: 1 },
    }),
    onFailure: "failed",
  });
  app.post("/api", guardRoute(guard, { subject: (req) => req.ip ?? "", input }));
}

const app = express().disable("x-powered-by");
if (kind === "guarded") guarded(app);
else bare(app, kind === "aborting");
const server = app.listen(0, "127.0.0.1", () => {
  process.send?.((server.address() as AddressInfo).port);
});
