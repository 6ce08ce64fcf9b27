import { nodeGateway, type NodeGatewayOptions } from "@sluice/gateway/node";
import type { NextApiRequest, NextApiResponse } from "next";
import { addGateway } from "./drain-gateways.ts";

export type PagesChatGatewayOptions<In, Ok, Failed, Stub> = NodeGatewayOptions<
  In,
  Ok,
  Failed,
  Stub,
  NextApiRequest
> & {
  /**
   * What answered before there was a gateway; it finds the request as if nobody had read it. Without one the
   * gateway has nothing to answer with in the stages `legacy` and `shadow`, and answers 503; what the gates
   * divert then gets the guard's stub.
   */
  readonly legacy?: ApiHandler;
};

export type ApiHandler = (req: NextApiRequest, res: NextApiResponse) => unknown;

/**
 * A chat gateway as an API route of the Pages Router: `export default pagesChatGateway({ … })`, whether Next
 * parses its body or, with `config.api.bodyParser` false, nobody does. In the stage `legacy` it returns what
 * the legacy handler returns.
 * @throws ConfigError
 */
export function pagesChatGateway<In, Ok, Failed, Stub>(
  options: PagesChatGatewayOptions<In, Ok, Failed, Stub>,
): ApiHandler {
  const gateway = nodeGateway<NextApiRequest, In, Ok, Failed, Stub>(options);
  const { legacy } = options;
  addGateway(gateway);
  return (req, res) => {
    let fault: { readonly error: unknown } | undefined;
    const handled = gateway.handle(req, res, {
      legacy: legacy && (() => legacy(req, res)),
      fail(error) {
        fault = { error };
      },
    });
    if (!(handled instanceof Promise)) return handled;
    // Next answers for what an API route rejects with.
    return handled.then((value: unknown) => {
      if (fault !== undefined) throw fault.error;
      return value;
    });
  };
}
