import { functionSchema, parseOptions, type Switches } from "@sluice/contract";
import { observe, systemClock } from "@sluice/guard";
import { z } from "zod";
import { answerRequest, toResponse } from "./fetch/answer-request.ts";
import { answerBesideShadow } from "./fetch/beside-legacy.ts";
import { counted, type CountedResponse, type FetchHandler } from "./fetch/count-responses.ts";
import { createChatGateway, type ChatGateway } from "./gateway.ts";
import { gatewayOptionsOf, gatewayOptionsShape, type GatewayOptions } from "./gateway-options.ts";
import { noLegacy } from "./no-legacy.ts";
import { factsOf, requestFactsShape, type RequestFacts } from "./node/request-facts.ts";

export type FetchGatewayOptions<
  In,
  Ok,
  Failed,
  Stub,
  Req extends Request = Request,
  Rest extends readonly unknown[] = [],
> = GatewayOptions<In, Ok, Failed, Stub> & RequestFacts<In, Req> & HostOptions<Req, Rest>;

interface HostOptions<Req extends Request, Rest extends readonly unknown[]> {
  /**
   * What answered before there was a gateway. It gets the very request, its body unread whatever the gateway
   * has read of it, and what the host hands over besides. Without one the gateway has nothing to answer with
   * in the stages `legacy` and `shadow`, and answers 503; what the gates divert then gets the guard's stub.
   */
  readonly legacy?: FetchHandler<Req, Rest>;
  /**
   * Takes what goes on once the response has left, on hosts that freeze a process which has nothing to
   * answer: the end of a stream, events, the shadow.
   */
  readonly waitUntil?: (work: Promise<unknown>, request: Req, ...rest: Rest) => void;
}

const optionsSchema = z.strictObject({
  ...gatewayOptionsShape,
  ...requestFactsShape,
  waitUntil: functionSchema.optional(),
});

/** For hosts whose handlers take a `Request` and give a `Response`. */
export interface FetchGateway<
  In,
  Ok,
  Failed,
  Stub,
  Req extends Request = Request,
  Rest extends readonly unknown[] = [],
> {
  (request: Req, ...rest: Rest): Response | Promise<Response>;
  /** What is behind it, to look at and to drain. */
  readonly gateway: ChatGateway<In, Ok, Failed, Stub>;
}

/**
 * A chat gateway for Hono, Remix, Bun, Deno and any other host of Fetch handlers. In the stage `legacy` it
 * returns what the legacy handler returns. In the others it gives a promise, which rejects only with what
 * functions of the application throw; a host may never read an answer, nor tell of a client that left.
 * @throws ConfigError
 */
export function fetchGateway<
  In,
  Ok,
  Failed,
  Stub,
  Req extends Request = Request,
  Rest extends readonly unknown[] = [],
>(
  options: FetchGatewayOptions<In, Ok, Failed, Stub, Req, Rest>,
): FetchGateway<In, Ok, Failed, Stub, Req, Rest> {
  parseOptions("fetchGateway", optionsSchema, options);
  const gateway = createChatGateway(gatewayOptionsOf(options));
  const { guard } = gateway;
  const { legacy, clock = systemClock } = options;

  const goesOn = (work: Promise<unknown>, request: Req, rest: Rest): void => {
    if (options.waitUntil === undefined) return;
    const told = work.then(
      () => guard.flush(),
      () => guard.flush(),
    );
    observe(options.waitUntil, told, request, ...rest);
  };

  const answer = (
    request: Req,
    rest: Rest,
    switches: Switches,
    counting: CountedResponse,
  ): Promise<Response> =>
    answerRequest(request, {
      gateway,
      facts: options,
      switches,
      legacy: legacy && (async () => legacy(request, ...rest)),
      onOutcome(outcome) {
        counting.outcome = outcome;
        goesOn(outcome, request, rest);
      },
    });

  const beside = (
    request: Req,
    rest: Rest,
    switches: Switches,
    handler: FetchHandler<Req, Rest>,
  ): Promise<Response> => {
    const answered = async (): Promise<Response> => handler(request, ...rest);
    const ticket = gateway.shadow.ticket();
    if (ticket === undefined) return answered();
    return answerBesideShadow(request, answered, {
      ticket,
      switches,
      subject: () => options.subject(request),
      request: (input) => factsOf(options, request, input),
      clock,
      goesOn: (work) => goesOn(work, request, rest),
    });
  };

  const handler = (request: Req, ...rest: Rest): Response | Promise<Response> => {
    const { name, switches } = gateway.stage();
    if (name === "authoritative") {
      return counted(guard, clock, request, (counting) =>
        answer(request, rest, switches, counting),
      );
    }
    if (legacy === undefined) return toResponse(noLegacy);
    if (name === "legacy") return legacy(request, ...rest);
    return counted(guard, clock, request, (counting) => {
      counting.outcome = "legacy";
      return beside(request, rest, switches, legacy);
    });
  };
  return Object.assign(handler, { gateway });
}
