import type { IncomingMessage } from "node:http";

/** The request's `body`, where something before us has read it; else undefined. */
export function bodyReadBefore(req: IncomingMessage): unknown {
  const { body } = req as { readonly body?: unknown };
  // Express 4's parsers leave an empty object for what they did not read.
  return isEmptyObject(body) && !req.readableDidRead ? undefined : body;
}

function isEmptyObject(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.getPrototypeOf(value) === Object.prototype &&
    Object.keys(value).length === 0
  );
}
