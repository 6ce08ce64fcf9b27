import { fetchGateway, type FetchGatewayOptions } from "@sluice/gateway";
import { after, type NextRequest } from "next/server.js";
import { addGateway } from "./drain-gateways.ts";

/** What a Fetch gateway takes. `waitUntil` is Next's `after` unless given. */
export type ChatGatewayOptions<
  In,
  Ok,
  Failed,
  Stub,
  Rest extends readonly unknown[] = [],
> = FetchGatewayOptions<In, Ok, Failed, Stub, NextRequest, Rest>;

export type RouteHandler<Rest extends readonly unknown[]> = (
  request: NextRequest,
  ...rest: Rest
) => Response | Promise<Response>;

/**
 * A chat gateway as a route handler of the App Router: `export const POST = chatGateway({ … })`. Given a
 * function, it is made with the first request: `next build` runs what stands in a route's module, and
 * should open no database. It needs the nodejs runtime.
 * @throws ConfigError; from a function, as the request's rejection, and the next request asks it again
 */
export function chatGateway<In, Ok, Failed, Stub, Rest extends readonly unknown[] = []>(
  options:
    | ChatGatewayOptions<In, Ok, Failed, Stub, Rest>
    | (() =>
        | ChatGatewayOptions<In, Ok, Failed, Stub, Rest>
        | Promise<ChatGatewayOptions<In, Ok, Failed, Stub, Rest>>),
): RouteHandler<Rest> {
  const open = (given: ChatGatewayOptions<In, Ok, Failed, Stub, Rest>): RouteHandler<Rest> => {
    const handler = fetchGateway<In, Ok, Failed, Stub, NextRequest, Rest>({
      waitUntil: (work) => after(work),
      ...given,
    });
    addGateway(handler.gateway);
    return handler;
  };
  if (typeof options !== "function") return open(options);

  let made: RouteHandler<Rest> | undefined;
  let making: Promise<RouteHandler<Rest>> | undefined;
  const make = async (): Promise<RouteHandler<Rest>> => {
    try {
      made = open(await options());
      return made;
    } finally {
      making = undefined;
    }
  };
  return (request, ...rest) =>
    made === undefined
      ? (making ??= make()).then((handler) => handler(request, ...rest))
      : made(request, ...rest);
}
