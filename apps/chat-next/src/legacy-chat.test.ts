import { readUIMessageStream, type UIMessage, type UIMessageChunk } from "ai";
import { describe, expect, it } from "vitest";
import { legacyChat } from "./legacy-chat.ts";

const post = (body: unknown): Request =>
  new Request("http://app.test/api/chat", { method: "POST", body: JSON.stringify(body) });

/** The chunks of a UI message stream, as `useChat` takes them from the wire. */
async function chunksOf(response: Response): Promise<UIMessageChunk[]> {
  const lines = (await response.text()).split("\n\n").filter((line) => line.startsWith("data: {"));
  return lines.map((line) => JSON.parse(line.slice("data: ".length)) as UIMessageChunk);
}

describe("the legacy handler", () => {
  it("answers in what useChat reads", async () => {
    const messages = [
      { id: "1", role: "user", parts: [{ type: "text", text: "What does it cost?" }] },
    ];
    const response = await legacyChat(post({ messages }));
    expect(response.headers.get("x-vercel-ai-ui-message-stream")).toBe("v1");
    const stream = new ReadableStream<UIMessageChunk>({
      async start(controller) {
        for (const chunk of await chunksOf(response)) controller.enqueue(chunk);
        controller.close();
      },
    });
    let last: UIMessage | undefined;
    for await (const message of readUIMessageStream({ stream })) last = message;
    expect(last?.parts).toMatchObject([
      { type: "text", text: expect.stringContaining("Billing") as string },
    ]);
  });

  it.each([null, {}, { messages: "hi" }])("refuses %j", async (body) => {
    expect((await legacyChat(post(body))).status).toBe(400);
  });

  it.each([[[]], [[null]], [[{ parts: [null, { text: 7 }] }]]])(
    "answers whatever stands among the messages: %j",
    async (messages) => {
      expect((await legacyChat(post({ messages }))).status).toBe(200);
    },
  );
});
