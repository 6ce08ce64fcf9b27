import type { StreamEvent } from "@sluice/contract";
import { createParser } from "eventsource-parser";
import { readUIMessageStream, type UIMessage, type UIMessageChunk } from "ai";
import {
  array,
  assert,
  asyncProperty,
  constant,
  constantFrom,
  jsonValue,
  nat,
  oneof,
  property,
  record,
  string,
  tuple,
  type Arbitrary,
} from "fast-check";
import { describe, expect, it } from "vitest";
import { protocolNames, type ProtocolName, type WireAnswer } from "../protocol.ts";
import { protocolOf } from "./negotiate.ts";
import {
  dataOf,
  encoderOf,
  failed,
  stubbed,
  rejected,
  streamOf,
  succeeded,
  usage,
  wholeOf,
} from "./outcomes-for-tests.ts";
import { readAnswerText } from "./read-answer-text.ts";

type Event = StreamEvent<unknown, unknown, unknown>;

const bodies: Readonly<Record<ProtocolName, unknown>> = {
  json: {},
  "ui-message-stream": { messages: [{ role: "user", parts: [{ type: "text", text: "a" }] }] },
  openai: { model: "m", messages: [{ role: "user", content: "a" }], stream: true },
};

const encoder = (name: ProtocolName) =>
  encoderOf(protocolOf(name, undefined), bodies[name], "text/event-stream");

const written = (name: ProtocolName, events: readonly Event[]) => streamOf(encoder(name), events);

/** What forges events, ends lines, or is no Unicode of its own. */
const hostile = [
  "\n\ndata: [DONE]\n\n",
  '\n\ndata: {"type":"finish"}\n\n',
  "\r\n\r\nevent: error\r\ndata: x",
  "\u0085data: x",
  "\u2028data: x\u2029",
  "\u{d800}",
  "\u{dc00}",
  "\u{feff}",
  "\u0000",
  "😀",
  "</script>",
];

const text = array(oneof(string({ unit: "binary" }), constantFrom(...hostile)), {
  maxLength: 6,
}).map((pieces) => pieces.join(""));

/** Source: https://docs.python.org/3/library/stdtypes.html#str.splitlines */
const otherLineEnds = "\r\v\f\u001c\u001d\u001e\u0085\u2028\u2029".split("");

/** Cut between any two units, in the midst of a pair too. */
const split = tuple(text, array(nat({ max: 200 }), { maxLength: 8 })).map(([whole, at]) => {
  const cuts = [
    0,
    ...at.map((cut) => cut % (whole.length + 1)).toSorted((a, b) => a - b),
    whole.length,
  ];
  return { whole, pieces: cuts.slice(1).map((end, index) => whole.slice(cuts[index], end)) };
});

const id = constantFrom("a", "b", "__proto__", "constructor", "x\r\nset-cookie: y");
const event: Arbitrary<Event> = oneof(
  record({ type: constant("text-delta"), text }),
  record({ type: constant("reasoning-delta"), text }),
  record({
    type: constant("tool-call"),
    id,
    name: constant("x"),
    input: jsonValue(),
  }),
  record({ type: constant("tool-result"), id, name: constant("x"), output: text }),
  constant<Event>({ type: "usage", usage }),
);
const terminal = constantFrom<Event>(
  { type: "finish", outcome: succeeded("a") },
  { type: "finish", outcome: stubbed("a") },
  { type: "failed", outcome: failed("STREAM_CUT") },
  { type: "failed", outcome: rejected("USER_IN_FLIGHT", 10) },
);
const events = array(event, { maxLength: 15 });

describe.each(protocolNames)("a stream in %s", (name) => {
  it("brings any text whole, however it was split and whatever it holds", () => {
    assert(
      property(split, ({ whole, pieces }) => {
        const answer = written(name, [
          ...pieces.map((piece) => ({ type: "text-delta", text: piece }) as const),
          { type: "finish", outcome: succeeded(whole) },
        ]);
        const bytes = new TextEncoder().encode(answer.body);
        expect(readAnswerText(bytes, answer.contentType)).toEqual({ text: whole, complete: true });
      }),
    );
  });

  it("has no line in it that a text made", () => {
    assert(
      property(text, (value) => {
        const { body } = written(name, [
          { type: "text-delta", text: value },
          { type: "reasoning-delta", text: value },
          { type: "tool-call", id: value, name: "x", input: { [value]: value } },
          { type: "tool-result", id: value, name: "x", output: value },
          { type: "failed", outcome: failed() },
        ]);
        // Each event is one line and an empty one, and no other character ends a line for anybody.
        expect(otherLineEnds.filter((char) => body.includes(char))).toEqual([]);
        const lines = body.split("\n\n");
        expect(lines.pop()).toBe("");
        expect(lines.filter((line) => !/^data: (?:\{.*\}|\[DONE\])$/.test(line))).toEqual([]);
      }),
    );
  });

  it("puts no id into a header, and none as it is into the body", () => {
    const evil = "x\r\nset-cookie: y\n\ndata: z";
    for (const outcome of [succeeded("a"), failed(), rejected("USER_IN_FLIGHT", 10)]) {
      const named = { ...outcome, decision: { ...outcome.decision, id: evil } };
      const { headers, body } = wholeOf(encoder(name), named);
      expect(JSON.stringify(headers)).not.toContain("cookie");
      expect(body).not.toMatch(/[\r\n]set-cookie|\ndata: z/);
    }
  });

  it("I13 ends with one terminal sequence, after any events and whatever follows it", () => {
    assert(
      property(
        events,
        terminal,
        array(oneof(event, terminal), { maxLength: 4 }),
        (before, last, after) => {
          const answer = written(name, [...before, last]);
          expect(written(name, [...before, last, ...after])).toEqual(answer);
          const data: string[] = [];
          const parser = createParser({ onEvent: (parsed) => data.push(parsed.data) });
          parser.feed(answer.body);
          const ends = data.filter((each) => isEnd(name, each));
          expect(ends).toHaveLength(1);
          expect(ends[0]).toBe(data.at(-1));
          const read = readAnswerText(new TextEncoder().encode(answer.body), answer.contentType);
          expect(read).toMatchObject({ complete: last.type === "finish" });
        },
      ),
    );
  });
});

describe("a stream in ui-message-stream", () => {
  it("is one that the AI SDK's client reads to its end, after any events", async () => {
    const run = asyncProperty(events, terminal, async (before, last) => {
      const answer = written("ui-message-stream", [...before, last]);
      const errors: unknown[] = [];
      let message: UIMessage | undefined;
      for await (const state of readUIMessageStream({
        stream: chunksOf(answer),
        onError: (error) => errors.push(error),
      })) {
        message = state;
      }
      expect(errors).toHaveLength(last.type === "finish" ? 0 : 1);
      const states = message?.parts.map((part) => ("state" in part ? part.state : undefined));
      expect(states).not.toContain("streaming");
      expect(states).not.toContain("input-available");
    });
    await assert(run, { numRuns: 50 });
  });
});

function chunksOf(answer: WireAnswer): ReadableStream<UIMessageChunk> {
  return new ReadableStream({
    start(controller) {
      for (const data of dataOf(answer)) {
        if (data !== "[DONE]") controller.enqueue(data as UIMessageChunk);
      }
      controller.close();
    },
  });
}

function isEnd(name: ProtocolName, data: string): boolean {
  if (name !== "json") return data === "[DONE]";
  const { type } = JSON.parse(data) as { readonly type: string };
  return type === "finish" || type === "failed";
}
