/** A response with further headers: the same one, or where its headers are fixed one of the same body. */
export function withHeaders(
  response: Response,
  headers: Readonly<Record<string, string>>,
): Response {
  try {
    for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
    return response;
  } catch {
    // A fetched one, or a redirection.
  }
  try {
    const { status, statusText, body } = response;
    const own = new Headers(response.headers);
    for (const [name, value] of Object.entries(headers)) own.set(name, value);
    return new Response(body, { status, statusText, headers: own });
  } catch {
    // One that stands for a network error has no status to be made again with.
    return response;
  }
}
