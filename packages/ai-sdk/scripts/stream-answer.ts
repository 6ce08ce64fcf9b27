import type { ServerResponse } from "node:http";

/** The frames of a Chat Completions stream that writes a text, with its usage at the end. */
export function textFrames(text: string): string[] {
  return [
    ...Array.from(text, (content) => frame({ choices: [{ delta: { content } }] })),
    frame({ choices: [{ delta: {}, finish_reason: "stop" }] }),
    frame({ choices: [], usage: { prompt_tokens: 12, completion_tokens: text.length } }),
    "data: [DONE]\n\n",
  ];
}

export function frame(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

/** Begins an event stream and sends frames; the answer stays open. */
export function sendFrames(
  res: ServerResponse,
  frames: readonly string[],
  /** Called once they have left. */
  onSent?: () => void,
): void {
  if (!res.headersSent) res.writeHead(200, { "content-type": "text/event-stream" });
  res.write(frames.join(""), onSent);
}
