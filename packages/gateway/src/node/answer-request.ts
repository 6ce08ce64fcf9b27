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
  // Node reads to its end what nobody has read of a request; of this one we have.
  res.once("close", () => {
    if (req.readableFlowing === null) req.resume();
  });
  const subject = await facts.subject(req);
  const reading = await readJson(req, gateway.bodyLimitBytes);
  if (reading === "gone") return;
  const call = { accept: req.headers.accept, subject, hasLegacy: legacy !== undefined };
  const answering =
    "problem" in reading
      ? Promise.resolve(gateway.refuse(reading.problem, call))
      : gateway.answer({
          ...call,
          body: reading.body,
          switches,
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
