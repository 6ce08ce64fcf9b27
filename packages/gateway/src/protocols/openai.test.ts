import { describe, expect, it } from "vitest";
import { openAiProtocol } from "./openai.ts";
import { context } from "./outcomes-for-tests.ts";

const ask = { model: "m", messages: [{ role: "user", content: "a" }] };

const read = (body: unknown) => openAiProtocol.read(body, undefined, context);

function readMessages(messages: unknown) {
  const reading = read({ ...ask, messages });
  return "problem" in reading ? reading.problem : reading.input;
}

const faultOf = (body: unknown) => {
  const reading = read(body);
  return "problem" in reading ? reading.problem : undefined;
};

const fault = (path: string) => ({ status: 400, errors: [{ path }] });

describe("a body of Chat Completions", () => {
  it("is its messages' text; a developer's is the system's", () => {
    const parts = [
      { type: "text", text: "Hel" },
      { type: "text", text: "lo?" },
    ];
    expect(
      readMessages([
        { role: "developer", content: "Be brief." },
        { role: "system", content: "Be kind." },
        { role: "user", name: "ann", content: parts },
        { role: "assistant", content: "Yes?", refusal: null, tool_calls: [] },
        { role: "assistant", content: null, refusal: "No." },
        { role: "assistant", content: [{ type: "refusal", refusal: "No." }] },
      ]),
    ).toEqual({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "system", content: "Be kind." },
        { role: "user", content: "Hello?" },
        { role: "assistant", content: "Yes?" },
      ],
    });
  });

  it("says whether the answer is to stream", () => {
    expect(read(ask)).toMatchObject({ streams: false });
    expect(read({ ...ask, stream: false })).toMatchObject({ streams: false });
    expect(read({ ...ask, stream: null })).toMatchObject({ streams: false });
    expect(read({ ...ask, stream: true })).toMatchObject({ streams: true });
  });

  it("may hold parameters that only tune the answer", () => {
    const tuned = {
      temperature: 2,
      max_tokens: 5,
      stop: ["x"],
      seed: 1,
      user: "u",
      logprobs: true,
    };
    const empty = { n: 1, tools: [], functions: null, response_format: { type: "text" } };
    expect(faultOf({ ...ask, ...tuned, ...empty })).toBeUndefined();
  });

  it.each<[string, object, string]>([
    ["two choices", { n: 2 }, "/n"],
    ["choices of no number", { n: "1" }, "/n"],
    ["tools", { tools: [{ type: "function", function: { name: "x" } }] }, "/tools"],
    ["functions", { functions: [{ name: "x" }] }, "/functions"],
    ["JSON", { response_format: { type: "json_object" } }, "/response_format"],
    ["a stream of no boolean", { stream: "yes" }, "/stream"],
    ["no model", { model: undefined }, "/model"],
    ["a model of 5 MB", { model: "m".repeat(5_000_000) }, "/model"],
    ["no messages", { messages: undefined }, "/messages"],
    ["an empty list of messages", { messages: [] }, "/messages"],
    ["10,000 messages", { messages: Array(10_000).fill(ask.messages[0]) }, "/messages"],
    [
      "5 MB of text",
      { messages: [{ role: "user", content: "x".repeat(5_000_000) }] },
      "/messages/0",
    ],
  ])("that asks with %s is a 400 with the path", (_name, more, path) => {
    expect(faultOf({ ...ask, ...more })).toMatchObject(fault(path));
  });

  it.each<[string, unknown, string]>([
    ["no object", "a", "/messages/0"],
    ["an unknown role", { role: "wizard", content: "a" }, "/messages/0/role"],
    ["an inherited role", { role: "constructor", content: "a" }, "/messages/0/role"],
    ["a tool's result", { role: "tool", tool_call_id: "t", content: "a" }, "/messages/0/role"],
    ["a function's result", { role: "function", name: "f", content: "a" }, "/messages/0/role"],
    ["calls of tools", { role: "assistant", tool_calls: [{ id: "t" }] }, "/messages/0/tool_calls"],
    ["a call of a function", { role: "assistant", function_call: {} }, "/messages/0/function_call"],
    ["no content", { role: "user" }, "/messages/0/content"],
    ["empty content", { role: "user", content: "" }, "/messages/0/content"],
    ["content of no text", { role: "user", content: 5 }, "/messages/0/content"],
    ["a part that is none", { role: "user", content: ["a"] }, "/messages/0/content/0"],
    ["an image", { role: "user", content: [{ type: "image_url" }] }, "/messages/0/content/0/type"],
    [
      "text that is none",
      { role: "user", content: [{ type: "text" }] },
      "/messages/0/content/0/text",
    ],
  ])("with a message of %s is a 400 with the path", (_name, message, path) => {
    expect(readMessages([message])).toMatchObject(fault(path));
  });

  it("says why calls of the client's tools are refused", () => {
    const why = "the server runs tools of its own and takes none of the client's";
    expect(readMessages([{ role: "tool", content: "a" }])).toMatchObject({
      errors: [{ path: "/messages/0/role", rule: why }],
    });
  });

  it.each([null, [], "a", 5])("that is %j is a 400", (body) => {
    expect(faultOf(body)).toMatchObject(fault(""));
  });

  it("has no prototype", () => {
    const body: unknown = JSON.parse('{"__proto__": {"model": "m", "messages": []}}');
    expect(faultOf(body)).toMatchObject(fault("/model"));
    const stream: unknown = JSON.parse(
      '{"model": "m", "messages": [{"role": "user", "content": "a"}], "__proto__": {"stream": true}}',
    );
    expect(read(stream)).toMatchObject({ streams: false });
  });
});
