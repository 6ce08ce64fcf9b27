/** An object of parsed JSON, of which nothing else is known. */
export type JsonObject = Readonly<Record<string, unknown>>;

const nothing: JsonObject = {};

/** The value, or an empty object where it is none: reading on from it finds nothing. */
export function objectOf(value: unknown): JsonObject {
  return typeof value === "object" && value !== null ? (value as JsonObject) : nothing;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The text, unless it is empty. */
export function wordOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** False for the many ways in which hosts write that there is none. */
export function isPresent(value: unknown): boolean {
  return typeof value === "object" && value !== null
    ? Object.keys(value).length > 0
    : Boolean(value);
}
