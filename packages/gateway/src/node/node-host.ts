import type { Clock } from "@sluice/contract";
import type { ChatGateway } from "../gateway.ts";
import type { RequestFacts } from "./request-facts.ts";

/** What is behind each request. */
export interface NodeHost<Req, In, Ok, Failed, Stub> {
  readonly gateway: ChatGateway<In, Ok, Failed, Stub>;
  readonly facts: RequestFacts<In, Req>;
  readonly clock: Clock;
}
