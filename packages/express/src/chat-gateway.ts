import { nodeGateway, type NodeGateway, type NodeGatewayOptions } from "@sluice/gateway/node";
import type { Request, RequestHandler } from "express";

export type ChatGatewayOptions<In, Ok, Failed, Stub> = NodeGatewayOptions<
  In,
  Ok,
  Failed,
  Stub,
  Request
> & {
  /**
   * What answered before there was a gateway. It gets the very request, its body unread whatever the gateway
   * has read of it. Without one it is the route's next handler.
   */
  readonly legacy?: RequestHandler;
};

/** A route that legacy handler and gateway share. */
export interface ChatGatewayHandler<In>
  extends RequestHandler,
    Readonly<Pick<NodeGateway<Request, In>, "drain" | "active" | "shadow">> {}

/**
 * A chat gateway in front of a legacy handler: mount it with `app.post`. The flags of the guard's source say,
 * for each request, who answers. While they say the legacy handler alone, the gateway adds nothing, waits
 * for nothing and reads nothing.
 * @throws ConfigError
 */
export function chatGateway<In, Ok, Failed, Stub>(
  options: ChatGatewayOptions<In, Ok, Failed, Stub>,
): ChatGatewayHandler<In> {
  const gateway = nodeGateway(options);
  const legacy: RequestHandler = options.legacy ?? ((_req, _res, next) => next());

  const handler: RequestHandler = (req, res, next) =>
    gateway.handle(req, res, {
      legacy: () => legacy(req, res, next),
      // As Express says it for a promise that rejects with nothing.
      fail: (error) => next(error ?? new Error("Rejected promise")),
    });
  return Object.defineProperties(handler, {
    drain: { value: gateway.drain },
    active: { get: () => gateway.active },
    shadow: { value: gateway.shadow },
  }) as ChatGatewayHandler<In>;
}
