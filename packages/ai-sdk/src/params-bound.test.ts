import type { LanguageModelV4CallOptions, LanguageModelV4Message } from "@ai-sdk/provider";
import { describe, expect, it } from "vitest";
import { paramsBound } from "./params-bound.ts";

const bytes = (text: string): number => Buffer.byteLength(text);
const boundOf = (
  prompt: readonly LanguageModelV4Message[],
  more: Partial<LanguageModelV4CallOptions> = {},
): number => paramsBound({ prompt: [...prompt], ...more }, bytes);

const text = (length: number) => ({ type: "text", text: "x".repeat(length) }) as const;
const result = { type: "tool-result", toolCallId: "1", toolName: "f" } as const;
const image = { mediaType: "image/png", data: { type: "data", data: new Uint8Array(9) } } as const;

describe("the bound of a prompt", () => {
  it("grows by every text in it, wherever it stands", () => {
    const empty = boundOf([{ role: "user", content: [text(0)] }]);
    expect(boundOf([{ role: "user", content: [text(100)] }])).toBe(empty + 100);
    expect(
      boundOf([
        { role: "system", content: "x".repeat(100) },
        { role: "user", content: [text(0), text(50)] },
      ]),
    ).toBeGreaterThanOrEqual(empty + 150);
  });

  it.each<[what: string, prompt: LanguageModelV4Message[], more: object]>([
    ["reasoning", [{ role: "assistant", content: [{ ...text(1000), type: "reasoning" }] }], {}],
    [
      "a tool's call",
      [
        {
          role: "assistant",
          content: [
            { type: "tool-call", toolCallId: "1", toolName: "f", input: { a: "x".repeat(1000) } },
          ],
        },
      ],
      {},
    ],
    [
      "a tool's result",
      [
        {
          role: "tool",
          content: [{ ...result, output: { type: "text", value: text(1000).text } }],
        },
      ],
      {},
    ],
    [
      "a file of text",
      [
        {
          role: "user",
          content: [
            {
              type: "file",
              mediaType: "text/plain",
              data: { type: "text", text: text(1000).text },
            },
          ],
        },
      ],
      {},
    ],
    [
      "a tool",
      [],
      { tools: [{ type: "function", name: "f", description: text(1000).text, inputSchema: {} }] },
    ],
    ["a schema", [], { responseFormat: { type: "json", schema: { title: text(1000).text } } }],
  ])("counts %s", (_what, prompt, more) => {
    expect(boundOf(prompt, more)).toBeGreaterThan(1000);
    expect(boundOf(prompt, more)).toBeLessThan(1300);
  });

  it.each<[what: string, prompt: LanguageModelV4Message[], more: object]>([
    ["an image", [{ role: "user", content: [{ type: "file", ...image }] }], {}],
    [
      "an image of a model",
      [{ role: "assistant", content: [{ type: "reasoning-file", ...image }] }],
      {},
    ],
    [
      "an image that a tool gave",
      [
        {
          role: "tool",
          content: [
            { ...result, output: { type: "content", value: [{ type: "file", ...image }] } },
          ],
        },
      ],
      {},
    ],
    [
      "a tool of the provider's",
      [],
      { tools: [{ type: "provider", id: "a.b", name: "b", args: {} }] },
    ],
  ])("is not known with %s", (_what, prompt, more) => {
    expect(boundOf(prompt, more)).toBeNaN();
  });
});
