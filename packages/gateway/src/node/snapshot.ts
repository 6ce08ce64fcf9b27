/**
 * What an earlier parser has made of a body, as it is now, in a form that nobody changes any more.
 * Undefined where it is larger than the limit.
 * @param isBounded it came in fewer bytes than that
 * @throws whatever values that are no JSON throw
 */
export function snapshotOf(
  body: unknown,
  limitBytes: number,
  isBounded: boolean,
): string | Uint8Array | undefined {
  if (typeof body === "string") return body.length > limitBytes ? undefined : body;
  if (body instanceof Uint8Array) {
    return body.byteLength > limitBytes ? undefined : Uint8Array.from(body);
  }
  return isBounded ? JSON.stringify(body) : boundedJson(body, limitBytes);
}

class TooLarge extends Error {}

/** Stops at the limit: it runs before the handler does, who would have to wait for a large one. */
function boundedJson(body: unknown, limit: number): string | undefined {
  let left = limit;
  const count = (key: string, value: unknown): unknown => {
    left -= key.length + (typeof value === "string" ? value.length : 1);
    if (left < 0) throw new TooLarge();
    return value;
  };
  try {
    return JSON.stringify(body, count);
  } catch (error) {
    if (error instanceof TooLarge) return undefined;
    throw error;
  }
}
