import type { Outcome, Switches } from "@sluice/contract";
import type { ChatGateway } from "../gateway.ts";
import { factsOf, type RequestFacts } from "../node/request-facts.ts";
import type { WireAnswer } from "../protocol.ts";
import { forget, readJson } from "./read-json.ts";
import { toByteStream } from "./to-byte-stream.ts";
import { withHeaders } from "./with-headers.ts";

/** What is behind one request. */
export interface FetchCall<Req, In, Ok, Failed, Stub> {
  readonly gateway: ChatGateway<In, Ok, Failed, Stub>;
  readonly facts: RequestFacts<In, Req>;
  readonly switches: Switches;
  readonly legacy: (() => Promise<Response>) | undefined;
  /** Told once, before the response is there. */
  readonly onOutcome: (outcome: Promise<Outcome<Ok, Failed, Stub | undefined>>) => void;
}

/**
 * Answers a request of the stage `authoritative`, or has the legacy handler answer, which finds the request's
 * body unread. Rejects only with what functions of the application throw.
 */
export async function answerRequest<Req extends Request, In, Ok, Failed, Stub>(
  request: Req,
  { gateway, facts, switches, legacy, onOutcome }: FetchCall<Req, In, Ok, Failed, Stub>,
): Promise<Response> {
  const accept = request.headers.get("accept") ?? undefined;
  const hasLegacy = legacy !== undefined;
  const subject = await facts.subject(request);
  const limitBytes = gateway.bodyLimitBytes;
  const reading = await readJson(request, { limitBytes, keeps: hasLegacy });
  // Nobody is there to read it.
  if (reading === "gone") return new Response(null, { status: 499 });
  const call = { accept, subject, hasLegacy };
  const sent = Promise.withResolvers<void>();
  const answer =
    "problem" in reading
      ? gateway.refuse(reading.problem, call)
      : await gateway.answer({
          ...call,
          body: reading.body,
          switches,
          sent: sent.promise,
          request: (input) => ({ ...factsOf(facts, request, input), signal: request.signal }),
        });
  if (answer.kind === "stream") onOutcome(answer.stream.outcome);
  else if (answer.outcome !== undefined) onOutcome(Promise.resolve(answer.outcome));
  if (answer.kind === "legacy") {
    if (legacy === undefined) throw new TypeError("sluice: there is no legacy handler");
    return withHeaders(await legacy(), answer.headers);
  }
  // What was kept for the legacy handler; of what was not read to its end the host takes care.
  if (hasLegacy && "body" in reading) forget(request.body);
  if (answer.kind === "stream") {
    request.signal.addEventListener("abort", () => sent.resolve(), { once: true });
    return new Response(toByteStream(answer, sent.resolve), { headers: answer.headers });
  }
  // No host tells when it was.
  sent.resolve();
  return toResponse(answer.answer);
}

export function toResponse({ status, headers, contentType, body }: WireAnswer): Response {
  return new Response(body, { status, headers: { ...headers, "content-type": contentType } });
}
