import type { IncomingMessage, ServerResponse } from "node:http";
import { parseOptions } from "@sluice/contract";
import { systemClock } from "@sluice/guard";
import { z } from "zod";
import { createChatGateway, type ChatGateway } from "../gateway.ts";
import { gatewayOptionsOf, gatewayOptionsShape } from "../gateway-options.ts";
import type { Shadow } from "../shadow.ts";
import { answerRequest } from "./answer-request.ts";
import type { NodeHost } from "./node-host.ts";
import { noLegacy } from "../no-legacy.ts";
import { requestFactsShape, type NodeGatewayOptions } from "./request-facts.ts";
import { sendWhole } from "./send-whole.ts";
import { shadowRequest } from "./shadow-request.ts";

/** Where else a request can go. */
export interface Ways {
  /** The handler that answered before there was a gateway. It reads the request as if nobody had. */
  readonly legacy: (() => unknown) | undefined;
  /** Takes what functions of the application throw while the gateway is authoritative. */
  readonly fail: (error: unknown) => void;
}

/** A chat gateway of a host on Node's own request and response. */
export interface NodeGateway<Req, In> {
  /**
   * Returns what the legacy handler returns, and throws what it throws, in its stages; a promise that never
   * rejects where the gateway is authoritative.
   */
  handle(req: Req, res: ServerResponse, ways: Ways): unknown;
  drain: ChatGateway<In, unknown, unknown, unknown>["drain"];
  readonly active: number;
  readonly shadow: Shadow<In>;
}

const optionsSchema = z.strictObject({ ...gatewayOptionsShape, ...requestFactsShape });

/** @throws ConfigError */
export function nodeGateway<Req extends IncomingMessage, In, Ok, Failed, Stub>(
  options: NodeGatewayOptions<In, Ok, Failed, Stub, Req>,
): NodeGateway<Req, In> {
  parseOptions("chatGateway", optionsSchema, options);
  const gateway = createChatGateway(gatewayOptionsOf(options));
  const { clock = systemClock } = options;
  const host: NodeHost<Req, In, Ok, Failed, Stub> = { gateway, facts: options, clock };

  return {
    handle(req, res, { legacy, fail }) {
      const { name, switches } = gateway.stage();
      if (name === "authoritative") {
        return answerRequest(host, req, res, { switches, legacy }).catch(fail);
      }
      if (legacy === undefined) {
        sendWhole(res, noLegacy);
        return undefined;
      }
      if (name === "shadow") shadowRequest(host, req, res, switches);
      // One line for both stages: an error of the handler tells it in its stack.
      return legacy();
    },
    drain: (drainOptions) => gateway.drain(drainOptions),
    get active() {
      return gateway.active;
    },
    shadow: gateway.shadow,
  };
}
