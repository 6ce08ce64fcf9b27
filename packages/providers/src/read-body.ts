/** Far above any answer of a chat model; below it, memory is no concern. */
export const maxAnswerBytes = 16 * 1024 * 1024;

/** The declarations of Node leave open what a body's chunks are. */
export function readerOf({ body }: Response): ReadableStreamDefaultReader<Uint8Array> | undefined {
  return (body as ReadableStream<Uint8Array> | null)?.getReader();
}
