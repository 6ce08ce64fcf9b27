import type { Clock, GuardRequest, Switches } from "@sluice/contract";
import type { LegacyAnswer } from "../parity.ts";
import type { Ticket } from "../shadow.ts";
import type { CopiedBody } from "../watched-call.ts";
import { takeJson } from "./read-json.ts";
import { watchResponse, type EndedAnswer } from "./watch-response.ts";

export interface BesideLegacy<In> {
  readonly ticket: Ticket<In>;
  readonly switches: Switches;
  readonly subject: () => string | Promise<string>;
  readonly request: (input: In) => Omit<GuardRequest, "subject" | "switches" | "signal">;
  readonly clock: Clock;
  /** Takes what goes on once the answer has left. */
  readonly goesOn: (work: Promise<unknown>) => void;
}

/**
 * Lets the legacy handler answer, and the shadow look at a copy of the request and of the answer. Rejects
 * with what the handler throws, and for nothing else.
 */
export async function answerBesideShadow<In>(
  request: Request,
  legacy: () => Promise<Response>,
  beside: BesideLegacy<In>,
): Promise<Response> {
  const { ticket, clock } = beside;
  const startedMs = clock.monotonicMs();
  const ended = Promise.withResolvers<LegacyAnswer>();
  const end = (answer: EndedAnswer): void =>
    ended.resolve({ ...answer, latencyMs: clock.monotonicMs() - startedMs });
  // The copy must be made before the handler reads; all else can wait until the handler is called.
  const taking = takeJson(request, { limitBytes: ticket.bodyLimitBytes, keeps: true });
  const answering = legacy();
  let subject = "";
  // Whose request it is, is asked while it is answered: later the application may have let go of it.
  const withSubject = async (): Promise<CopiedBody> => {
    try {
      const taken = await taking;
      if (taken === "gone") return { skipped: "unread" };
      if ("parse" in taken) subject = await beside.subject();
      return taken;
    } catch {
      return { skipped: "failed" };
    }
  };
  beside.goesOn(
    ticket.watch({
      accept: request.headers.get("accept") ?? undefined,
      subject: () => subject,
      request: beside.request,
      switches: beside.switches,
      copied: withSubject(),
      legacy: ended.promise,
    }),
  );
  let response: Response;
  try {
    response = await answering;
  } catch (error) {
    end(unanswered);
    throw error;
  }
  try {
    return await watchResponse(response, ticket.answerLimitBytes, end);
  } catch {
    // It is no response, or none that can be made again: the host may know what to do with it.
    end(unanswered);
    return response;
  }
}

const unanswered: EndedAnswer = {
  status: undefined,
  contentType: undefined,
  body: undefined,
  complete: false,
};
