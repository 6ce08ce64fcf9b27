import { describe, expect, it } from "vitest";
import { protocolNames } from "../protocol.ts";
import { protocolOf } from "./negotiate.ts";

const parts = [{ type: "text", text: "a" }];

describe("the protocol of a body", () => {
  it.each<[string, unknown]>([
    ["ui-message-stream", { messages: [{ role: "user", parts }] }],
    [
      "ui-message-stream",
      {
        messages: [
          { role: "user", content: "a" },
          { role: "user", parts },
        ],
      },
    ],
    ["ui-message-stream", { id: "c", trigger: "submit-message", messages: [] }],
    ["ui-message-stream", { model: "gpt", messages: [{ role: "user", parts }] }],
    ["openai", { model: "gpt", messages: [{ role: "user", content: "a" }] }],
    ["openai", { model: "gpt" }],
    ["json", { model: 5, messages: [{ role: "user", content: "a" }] }],
    ["json", { messages: [{ role: "user", content: "a" }] }],
    ["json", { messages: [null, 5, "parts"] }],
    ["json", { question: "a" }],
    ["json", null],
    ["json", undefined],
    ["json", [{ parts }]],
    ["json", JSON.parse('{"__proto__": {"model": "gpt"}}')],
    ["json", JSON.parse('{"messages": [{"__proto__": {"parts": []}}]}')],
  ])("is %s for %j", (name, body) => {
    expect(protocolOf("negotiated", body).name).toBe(name);
  });

  it("is the one chosen, whatever the body looks like", () => {
    for (const name of protocolNames) {
      expect(protocolOf(name, { model: "gpt", messages: [{ role: "user", parts }] }).name).toBe(
        name,
      );
    }
  });
});
