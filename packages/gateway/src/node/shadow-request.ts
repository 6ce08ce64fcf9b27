import type { IncomingMessage, ServerResponse } from "node:http";
import type { Switches } from "@sluice/contract";
import type { CopiedBody } from "../watched-call.ts";
import { bodyBeside } from "./body-beside.ts";
import { copyAnswer } from "./copy-answer.ts";
import { countResponse } from "./count-response.ts";
import type { NodeHost } from "./node-host.ts";
import { factsOf } from "./request-facts.ts";

/**
 * Lets the shadow look at a request that the legacy handler is about to answer. It returns at once, never
 * throws, and nothing of it can be seen by the client.
 */
export function shadowRequest<Req extends IncomingMessage, In, Ok, Failed, Stub>(
  host: NodeHost<Req, In, Ok, Failed, Stub>,
  req: Req,
  res: ServerResponse,
  switches: Switches,
): void {
  try {
    const counted = countResponse(host.gateway.guard, res, host.clock);
    if (counted !== undefined) counted.outcome = "legacy";
    watch(host, req, res, switches);
  } catch {
    // The legacy handler answers, whatever is wrong here.
  }
}

function watch<Req extends IncomingMessage, In, Ok, Failed, Stub>(
  { gateway, facts, clock }: NodeHost<Req, In, Ok, Failed, Stub>,
  req: Req,
  res: ServerResponse,
  switches: Switches,
): void {
  // Of a client that is gone no event would say that the answer has ended.
  if (res.destroyed) return;
  const ticket = gateway.shadow.ticket();
  if (ticket === undefined) return;
  const { copied, stop } = bodyBeside(req, ticket.bodyLimitBytes);
  const legacy = copyAnswer(res, ticket.answerLimitBytes, clock);
  void legacy.then(stop);
  let subject = "";
  // Whose request it is, is asked while it is answered: later the application may have let go of it.
  const withSubject = async (): Promise<CopiedBody> => {
    try {
      const copy = await copied;
      if ("parse" in copy) subject = await facts.subject(req);
      return copy;
    } catch {
      return { skipped: "failed" };
    }
  };
  void ticket.watch({
    accept: req.headers.accept,
    subject: () => subject,
    request: (input) => factsOf(facts, req, input),
    switches,
    copied: withSubject(),
    legacy,
  });
}
