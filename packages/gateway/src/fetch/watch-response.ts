import type { LegacyAnswer } from "../parity.ts";
import { lookAhead } from "./look-ahead.ts";
import { watchBody, type PassedBody } from "./watch-body.ts";

export type EndedAnswer = Omit<LegacyAnswer, "latencyMs">;

/**
 * The same response, with word of how it ended and, up to the limit, of what it held. It goes back as it
 * came where it has no body or none that can be watched.
 */
export async function watchResponse(
  response: Response,
  limitBytes: number,
  onEnd: (answer: EndedAnswer) => void,
): Promise<Response> {
  const { status, statusText, headers, body } = response;
  const contentType = headers.get("content-type") ?? undefined;
  const ended = ({ bytes, complete }: PassedBody): void =>
    onEnd({ status, contentType, body: bytes, complete });
  const isRead = response.bodyUsed || body?.locked === true;
  // One that was read already is for the host to refuse; one of another status can't be made again.
  if (body === null || isRead || status < 200 || status > 599) {
    ended({ bytes: new Uint8Array(), complete: body === null });
    return response;
  }
  const source = lookAhead(body);
  // Hosts that tell the length of what they hold whole go on doing so.
  const whole = isFlow(contentType) ? undefined : await source.whole();
  // Not the response itself in its stead: hosts with a class of their own would read its body by another way.
  const init = { status, statusText, headers };
  if (whole === undefined) return new Response(watchBody(source, limitBytes, ended), init);
  ended({ bytes: whole.byteLength > limitBytes ? undefined : whole, complete: true });
  return new Response(whole as Uint8Array<ArrayBuffer>, init);
}

const isFlow = (contentType: string | undefined): boolean =>
  contentType?.startsWith("text/event-stream") === true;
