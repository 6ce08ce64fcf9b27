/** Far above any answer of a chat model; below it, memory is no concern. */
export const maxAnswerBytes = 16 * 1024 * 1024;

/** A body that is larger than any model's answer: without a bound it could fill the memory. */
export class BodyTooLarge extends Error {}

/**
 * A body's text.
 * @throws BodyTooLarge, having let go of the body; and whatever a body that breaks throws.
 */
export async function readBody(response: Response, maxBytes = maxAnswerBytes): Promise<string> {
  if (isKnownToBeSmall(response.headers, maxBytes)) return response.text();
  const reader = readerOf(response);
  if (reader === undefined) return "";
  const decoder = new TextDecoder();
  const parts: string[] = [];
  for (let bytes = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return parts.join("") + decoder.decode();
    bytes += value.byteLength;
    if (bytes > maxBytes) {
      await reader.cancel();
      throw new BodyTooLarge();
    }
    parts.push(decoder.decode(value, { stream: true }));
  }
}

/** The declarations of Node leave open what a body's chunks are. */
export function readerOf({ body }: Response): ReadableStreamDefaultReader<Uint8Array> | undefined {
  return (body as ReadableStream<Uint8Array> | null)?.getReader();
}

function isKnownToBeSmall(headers: Headers, maxBytes: number): boolean {
  const length = headers.get("content-length");
  // What is compressed has another length once it is not.
  return length !== null && Number(length) <= maxBytes && !headers.has("content-encoding");
}
