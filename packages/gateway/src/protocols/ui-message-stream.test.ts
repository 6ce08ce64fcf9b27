import { describe, expect, it } from "vitest";
import { maxMessages, maxTextChars } from "./chat-messages.ts";
import { context } from "./outcomes-for-tests.ts";
import { uiMessageStreamProtocol } from "./ui-message-stream.ts";

function read(body: unknown) {
  const reading = uiMessageStreamProtocol.read(body, undefined, context);
  return "problem" in reading ? reading.problem : reading.input;
}

const text = (value: unknown) => ({ type: "text", text: value });
const user = (...parts: readonly unknown[]) => ({ id: "1", role: "user", parts });
const assistant = (...parts: readonly unknown[]) => ({ id: "2", role: "assistant", parts });

const fault = (path: string) => ({ status: 400, errors: [{ path }] });

describe("a body of useChat", () => {
  it("is its messages' text, and always asks for a stream", () => {
    const messages = [
      { id: "0", role: "system", parts: [text("Be brief.")] },
      user(text("Hel"), text("lo?")),
      assistant(text("Yes?")),
      user(text("Bye.")),
    ];
    const body = { id: "c", trigger: "submit-message", messages };
    expect(read(body)).toEqual({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hello?" },
        { role: "assistant", content: "Yes?" },
        { role: "user", content: "Bye." },
      ],
    });
    expect(uiMessageStreamProtocol.read(body, "application/json", context)).toMatchObject({
      streams: true,
    });
  });

  it("is taken without what an earlier answer showed besides its text", () => {
    const call = { toolCallId: "t", toolName: "weather", input: {} };
    const parts = [
      { type: "step-start" },
      { type: "reasoning", text: "Hm." },
      { type: "tool-weather", ...call, state: "output-available", output: { deep: [{ in: 1 }] } },
      { type: "tool-weather", ...call, state: "input-available" },
      { type: "dynamic-tool", ...call, state: "output-error", errorText: "no" },
      { type: "tool-invocation", toolInvocation: { state: "result", ...call, result: "rain" } },
      { type: "source-url", sourceId: "s", url: "https://example.com" },
      { type: "source", source: { url: "https://example.com" } },
      { type: "file", mediaType: "image/png", url: "data:image/png;base64,AAAA" },
      { type: "data-chart", data: { x: 1 } },
      { type: "of-a-later-version" },
      text("It rains."),
    ];
    const question = user(
      text("Weather?"),
      { type: "data-context", data: 1 },
      { type: "file", url: "" },
    );
    expect(read({ messages: [question, assistant(...parts)] })).toEqual({
      messages: [
        { role: "user", content: "Weather?" },
        { role: "assistant", content: "It rains." },
      ],
    });
  });

  it("is taken without answers that have no text, as after a stop", () => {
    const stopped = assistant(
      { type: "step-start" },
      { type: "tool-weather", state: "input-available" },
    );
    expect(read({ messages: [user(text("a")), stopped, assistant(), user(text("b"))] })).toEqual({
      messages: [
        { role: "user", content: "a" },
        { role: "user", content: "b" },
      ],
    });
  });

  it("of older versions may have its text in content", () => {
    const messages = [
      { role: "user", content: "a" },
      { role: "assistant", content: "", toolInvocations: [{ state: "result" }] },
      { role: "assistant", content: "b", parts: [text("b")] },
      { role: "user", content: "c", parts: [] },
    ];
    expect(read({ messages })).toEqual({
      messages: [
        { role: "user", content: "a" },
        { role: "assistant", content: "b" },
        { role: "user", content: "c" },
      ],
    });
  });

  const attachment = { url: "data:text/plain,x", contentType: "text/plain" };

  it.each<[string, unknown, string]>([
    ["is null", null, "/messages"],
    ["is a list", [user(text("a"))], "/messages"],
    ["has messages that are no list", { messages: { 0: user(text("a")) } }, "/messages"],
    ["has no message", { messages: [] }, "/messages"],
    ["has 10,000 messages", { messages: Array(10_000).fill(user(text("a"))) }, "/messages"],
    ["has a message that is none", { messages: [user(text("a")), null] }, "/messages/1"],
    ["has an unknown role", { messages: [{ role: "tool", parts: [] }] }, "/messages/0/role"],
    ["has no role", { messages: [{ parts: [text("a")] }] }, "/messages/0/role"],
    [
      "has parts that are no list",
      { messages: [{ role: "user", parts: "a" }] },
      "/messages/0/parts",
    ],
    ["has a part that is none", { messages: [user("a")] }, "/messages/0/parts/0"],
    ["has a part without a type", { messages: [user({})] }, "/messages/0/parts/0/type"],
    ["has text that is none", { messages: [user(text(["a"]))] }, "/messages/0/parts/0/text"],
    [
      "has content that is none",
      { messages: [{ role: "user", content: 1 }] },
      "/messages/0/content",
    ],
    ["asks nothing", { messages: [user(text(""))] }, "/messages/0/parts"],
    [
      "asks with an answer's tool",
      { messages: [user({ type: "tool-x" })] },
      "/messages/0/parts/0/type",
    ],
    [
      "has a file",
      { messages: [user(text("a"), { type: "file", url: "x:" })] },
      "/messages/0/parts/1",
    ],
    [
      "has a file of version 4",
      { messages: [user({ type: "file", data: "QQ==" })] },
      "/messages/0/parts/0",
    ],
    [
      "has an attachment",
      { messages: [{ ...user(text("a")), experimental_attachments: [attachment] }] },
      "/messages/0/experimental_attachments",
    ],
    ["has 5 MB of text", { messages: [user(text("x".repeat(5_000_000)))] }, "/messages/0"],
  ])("that %s is a 400 with the path", (_name, body, path) => {
    expect(read(body)).toMatchObject(fault(path));
  });

  it("may be as large as the limits, and no larger", () => {
    const messages = Array.from({ length: maxMessages }, () => user(text("a")));
    expect(read({ messages })).toEqual({
      messages: messages.map(() => ({ role: "user", content: "a" })),
    });
    expect(read({ messages: [...messages, user(text("a"))] })).toMatchObject(fault("/messages"));
    const large = user(text("x".repeat(maxTextChars)));
    expect(read({ messages: [large] })).not.toHaveProperty("errors");
    expect(read({ messages: [large, user(text("a"))] })).toMatchObject(fault("/messages/1"));
  });

  it("has no prototype", () => {
    const inherited = '{"__proto__": {"messages": [{"role": "user", "content": "a"}]}}';
    expect(read(JSON.parse(inherited))).toMatchObject(fault("/messages"));
    const parent = { messages: [user(text("a"))] };
    expect(read(Object.create(parent))).toMatchObject(fault("/messages"));
    const message =
      '{"__proto__": {"role": "user"}, "constructor": {"prototype": {"role": "user"}}}';
    const body: unknown = JSON.parse(`{"messages": [${message}]}`);
    expect(read(body)).toMatchObject(fault("/messages/0/role"));
    expect(Object.hasOwn(Object.prototype, "role")).toBe(false);
    const named = '{"messages": [{"role": "user", "content": "a", "__proto__": {"evil": 1}}]}';
    const input = read(JSON.parse(named)) as { readonly messages: readonly object[] };
    expect(Object.keys(input.messages[0] ?? {})).toEqual(["role", "content"]);
    expect(Object.getPrototypeOf(input.messages[0])).toBe(Object.prototype);
  });

  it("that is refused is not quoted", () => {
    const bodies = [
      { messages: [{ role: "s3cret", parts: [] }] },
      { messages: [user({ type: "s3cret" })] },
      { messages: [user({ type: "file", url: "s3cret" })] },
      { s3cret: 1 },
    ];
    for (const body of bodies) {
      const problem = read(body);
      expect(problem).toMatchObject({ status: 400 });
      expect(JSON.stringify(problem)).not.toContain("s3cret");
    }
  });
});
