import { openaiProvider } from "@sluice/providers";
import OpenAI from "openai";
import { toText, type Pace } from "./pace.ts";
import { attributes, streamGuard, type Question } from "./stream-guard.ts";

/** Reads one answer and hands on each piece of its text as it comes. */
export type ReadAnswer = (pace: Pace, onText: (text: string) => void) => Promise<void>;

const model = "bench";
const maxOutputTokens = 800;

/** The loop that one writes over the official client. */
export function byOpenai(baseUrl: string): ReadAnswer {
  const client = new OpenAI({ apiKey: "bench", baseURL: baseUrl, maxRetries: 0 });
  return async (pace, onText) => {
    const stream = await client.chat.completions.create({
      model,
      messages: [{ role: "user", content: toText(pace) }],
      max_completion_tokens: maxOutputTokens,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      const text = chunk.choices[0]?.delta.content;
      if (text !== undefined && text !== null && text !== "") onText(text);
    }
  };
}

interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string } }[];
}

/** The least that can be written: `fetch`, lines, `JSON.parse`; it checks nothing. */
export function byFetch(baseUrl: string): ReadAnswer {
  return async (pace, onText) => {
    const response = await fetch(`${baseUrl}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer bench" },
      body: JSON.stringify({
        model,
        messages: [{ role: "user", content: toText(pace) }],
        max_completion_tokens: maxOutputTokens,
        stream: true,
        stream_options: { include_usage: true },
      }),
    });
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of response.body ?? []) {
      const events = (rest + decoder.decode(bytes as Uint8Array, { stream: true })).split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) {
        if (event === "data: [DONE]") continue;
        const chunk = JSON.parse(event.slice("data: ".length)) as Chunk;
        const text = chunk.choices[0]?.delta.content;
        if (text !== undefined && text !== "") onText(text);
      }
    }
  };
}

/** The guard with every gate on, over its own provider. */
export function byGuard(baseUrl: string): ReadAnswer {
  const guard = streamGuard(
    openaiProvider<Question>({ model, apiKey: "bench", baseUrl, prompt: ({ text }) => text }),
  );
  return async (pace, onText) => {
    const stream = guard.stream({ text: toText(pace) }, { subject: "user-1", attributes });
    for await (const event of stream) {
      if (event.type === "text-delta") onText(event.text);
      if (event.type === "failed") throw new Error(`bench: ${event.outcome.status}`);
    }
  };
}
