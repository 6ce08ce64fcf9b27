import type { InputFault } from "@sluice/guard";
import type { Protocol } from "../protocol.ts";
import { bodyProblem } from "./body-problem.ts";
import { readChatMessages } from "./chat-messages.ts";
import { openAiEncoder } from "./openai-encoder.ts";
import { isGiven, ownTools, readOpenAiMessage } from "./openai-messages.ts";
import { isObject, ownField } from "./own-field.ts";

/** What any client of OpenAI's Chat Completions speaks. Source: https://platform.openai.com/docs/api-reference/chat */
export const openAiProtocol: Protocol = {
  name: "openai",
  recognizes: (body) => typeof ownField(body, "model") === "string",
  read(body, _accept, context) {
    const fault = parameterFault(body);
    const streams = ownField(body, "stream") === true;
    const named = ownField(body, "model");
    const encoder = openAiEncoder(
      {
        // Said again in each piece of a stream, and nowhere else: the guard's route chooses the model.
        model: isModelName(named) ? named : "",
        streams,
        includeUsage: ownField(ownField(body, "stream_options"), "include_usage") === true,
      },
      context,
    );
    const read = fault ?? readChatMessages(body, readOpenAiMessage);
    if ("rule" in read) return { problem: bodyProblem(read), encoder };
    return { input: read, streams, encoder };
  },
};

const maxModelChars = 256;

const isModelName = (value: unknown): value is string =>
  typeof value === "string" && value !== "" && value.length <= maxModelChars;

/** The first parameter that asks for what can't be given. Those that only tune the answer are ignored. */
function parameterFault(body: unknown): InputFault | undefined {
  if (!isObject(body)) return { path: "", rule: "expected object" };
  if (!isModelName(ownField(body, "model"))) {
    return { path: "/model", rule: `expected string of 1 to ${maxModelChars} characters` };
  }
  const stream = ownField(body, "stream") ?? false;
  if (typeof stream !== "boolean") return { path: "/stream", rule: "expected boolean" };
  if ((ownField(body, "n") ?? 1) !== 1) return { path: "/n", rule: "only one choice is given" };
  for (const name of ["tools", "functions"]) {
    if (isGiven(ownField(body, name))) return { path: `/${name}`, rule: ownTools };
  }
  const format = ownField(body, "response_format");
  if (isGiven(format) && ownField(format, "type") !== "text") {
    return { path: "/response_format", rule: "only text is given" };
  }
  return undefined;
}
