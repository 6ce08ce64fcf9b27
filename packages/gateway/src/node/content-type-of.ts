/** Among the headers that `writeHead` takes: an object, a list of pairs, or a list of names and values in turn. */
export function contentTypeOf(headers: unknown): string | undefined {
  if (typeof headers !== "object" || headers === null) return undefined;
  const flat = Array.isArray(headers) ? headers.flat() : Object.entries(headers).flat();
  const at = flat.findIndex(
    (name, index) => index % 2 === 0 && String(name).toLowerCase() === "content-type",
  );
  const value: unknown = at < 0 ? undefined : flat[at + 1];
  return typeof value === "string" ? value : undefined;
}
