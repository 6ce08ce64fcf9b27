import type { AskableSchema, ToolStep } from "@sluice/contract";
import type { RequestAsk, RequestDialect } from "./chat-request.ts";

/**
 * A request that nothing is stored of: the API keeps answers for a month where it isn't told otherwise.
 * Source: https://platform.openai.com/docs/api-reference/responses/create
 */
export function responsesRequest(ask: RequestAsk, dialect: RequestDialect): object {
  const { model, messages, steps, schema, tools, maxOutputTokens, stream } = ask;
  const { structuredOutput } = dialect;
  const strict = structuredOutput === "json_schema" ? { strict: true } : {};
  return {
    model,
    input: [...messages, ...steps.flatMap(itemsOfStep)],
    ...(schema === undefined || structuredOutput === "none"
      ? {}
      : { text: { format: textFormat(schema, structuredOutput) } }),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(({ name, description, parameters }) => ({
            type: "function",
            name,
            description,
            parameters,
            ...strict,
          })),
        }),
    ...(maxOutputTokens === undefined ? {} : { max_output_tokens: maxOutputTokens }),
    store: false,
    ...(stream ? { stream: true } : {}),
  };
}

function textFormat(schema: AskableSchema, type: "json_schema" | "json_object"): object {
  return type === "json_object" ? { type } : { type, name: "answer", strict: true, schema };
}

function itemsOfStep({ text, calls, results }: ToolStep): readonly object[] {
  return [
    ...(text === "" ? [] : [{ role: "assistant", content: text }]),
    ...calls.map(({ id, name, arguments: args }) => ({
      type: "function_call",
      call_id: id,
      name,
      arguments: args,
    })),
    ...results.map(({ id, output }) => ({ type: "function_call_output", call_id: id, output })),
  ];
}
