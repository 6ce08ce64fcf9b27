/** Source: https://html.spec.whatwg.org/multipage/server-sent-events.html */
export const sseType = "text/event-stream; charset=utf-8";

/** What ends a stream of OpenAI's and of the AI SDK's. */
export const sseDone = "data: [DONE]\n\n";

/**
 * One server-sent event that holds a value as a line of JSON: no text in it can end the event or forge
 * another. A lone surrogate stays what it is, as an escape.
 */
export function toSseData(value: unknown): string {
  return `data: ${JSON.stringify(value).replace(otherLineEnds, escaped)}\n\n`;
}

/** Line ends for some clients, such as those that split with Python's `splitlines`; JSON lets them pass. */
const otherLineEnds = /[\u0085\u2028\u2029]/g;

const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
