import { functionSchema, type Attributes, type GuardRequest } from "@sluice/contract";
import type { GatewayOptions } from "../gateway-options.ts";

/** What a host's request tells the gateway. */
export interface RequestFacts<In, Req> {
  /**
   * Whom eligibility is decided for: from the application's own authentication, not from a client header.
   * What it throws is the application's error.
   */
  readonly subject: (req: Req) => string | Promise<string>;
  readonly attributes?: (req: Req, input: In) => Attributes;
  readonly run?: (req: Req, input: In) => string | undefined;
  /** The provider asked for; obeyed only by a route with the strategy `requested`. */
  readonly provider?: (req: Req, input: In) => string | undefined;
  /** The application's own id of the request, for records. */
  readonly requestId?: (req: Req, input: In) => string | undefined;
}

/** What a chat gateway on Node's own request and response is made of. */
export type NodeGatewayOptions<In, Ok, Failed, Stub, Req> = GatewayOptions<In, Ok, Failed, Stub> &
  RequestFacts<In, Req>;

/** With `legacy`, which each host types. */
export const requestFactsShape = {
  legacy: functionSchema.optional(),
  subject: functionSchema,
  attributes: functionSchema.optional(),
  run: functionSchema.optional(),
  provider: functionSchema.optional(),
  requestId: functionSchema.optional(),
};

export function factsOf<In, Req>(
  facts: RequestFacts<In, Req>,
  req: Req,
  input: In,
): Omit<GuardRequest, "subject" | "switches" | "signal"> {
  return {
    attributes: facts.attributes?.(req, input),
    run: facts.run?.(req, input),
    provider: facts.provider?.(req, input),
    requestId: facts.requestId?.(req, input),
  };
}
