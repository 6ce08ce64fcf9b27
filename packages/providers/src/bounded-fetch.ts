/** Far above any answer of a chat model; below it, memory is no concern. */
const maxBytes = 16 * 1024 * 1024;

/**
 * `fetch` whose answers end in an error when they are larger than any model's: without a bound, a host
 * that never stops sending fills the memory until the time is up.
 */
export async function boundedFetch(
  input: string | URL | Request,
  init?: RequestInit,
): Promise<Response> {
  const response = await fetch(input, init);
  const { body, headers } = response;
  if (body === null || isKnownToBeSmall(headers)) return response;
  let bytes = 0;
  const counted = body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.byteLength;
        if (bytes <= maxBytes) controller.enqueue(chunk);
        else controller.error(new RangeError("the answer is larger than any model's"));
      },
    }),
  );
  const { status, statusText } = response;
  return new Response(counted, { status, statusText, headers });
}

function isKnownToBeSmall(headers: Headers): boolean {
  const length = headers.get("content-length");
  // What is compressed has another length once it is not.
  return length !== null && Number(length) <= maxBytes && !headers.has("content-encoding");
}
