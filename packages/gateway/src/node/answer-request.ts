import type { IncomingMessage, ServerResponse } from "node:http";
import type { Outcome, Switches } from "@sluice/contract";
import type { GatewayAnswer } from "../gateway.ts";
import { clientSignal } from "./client-signal.ts";
import { countResponse } from "./count-response.ts";
import type { NodeHost } from "./node-host.ts";
import { pump } from "./pump.ts";
import { readJson } from "./read-json.ts";
import { factsOf } from "./request-facts.ts";
import { isFree, sendWhole, setHeaders } from "./send-whole.ts";

/**
 * Answers a request of the stage `authoritative`, or hands it to the legacy handler, body and all. Rejects
 * only with what functions of the application throw.
 */
export async function answerRequest<Req extends IncomingMessage, In, Ok, Failed, Stub>(
  { gateway, facts, clock }: NodeHost<Req, In, Ok, Failed, Stub>,
  req: Req,
  res: ServerResponse,
  {
    switches,
    legacy,
  }: { readonly switches: Switches; readonly legacy: (() => unknown) | undefined },
): Promise<void> {
  const counted = countResponse(gateway.guard, res, clock);
  const signal = clientSignal(res);
  const sent = Promise.withResolvers<void>();
  const closed = (): void => {
    sent.resolve();
    // Node reads to its end what nobody has read of a request; of this one we have.
    if (req.readableFlowing === null) req.resume();
  };
  // Of a client that is gone no event will say so again.
  if (res.closed) closed();
  else res.once("close", closed);
  const subject = await facts.subject(req);
  const reading = isFree(res) ? await readJson(req, gateway.bodyLimitBytes) : "gone";
  // The client is gone, or something else has answered meanwhile.
  if (reading === "gone" || !isFree(res)) {
    req.resume();
    return;
  }
  const call = { accept: req.headers.accept, subject, hasLegacy: legacy !== undefined };
  const answering =
    "problem" in reading
      ? Promise.resolve(gateway.refuse(reading.problem, call))
      : gateway.answer({
          ...call,
          body: reading.body,
          switches,
          sent: sent.promise,
          request: (input) => ({ ...factsOf(facts, req, input), signal }),
        });
  if (counted !== undefined) counted.outcome = outcomeOf(answering);
  const answer = await answering;
  if (answer.kind === "legacy") {
    if (!isFree(res)) return;
    setHeaders(res, answer.headers);
    await legacy?.();
    return;
  }
  // Nobody else will read it: what was put back, and what is still to come, is let go of.
  req.resume();
  if (answer.kind === "whole") {
    sendWhole(res, answer.answer);
    return;
  }
  if (!isFree(res)) {
    answer.stream.cancel();
    return;
  }
  res.statusCode = 200;
  setHeaders(res, answer.headers);
  await pump(res, answer);
}

/** Of one that is answered with an error of the application there is none. */
async function outcomeOf<Ok, Failed, Stub>(
  answering: Promise<GatewayAnswer<Ok, Failed, Stub>>,
): Promise<Outcome<Ok, Failed, Stub | undefined> | undefined> {
  try {
    const answer = await answering;
    return answer.kind === "stream" ? await answer.stream.outcome : answer.outcome;
  } catch {
    return undefined;
  }
}
