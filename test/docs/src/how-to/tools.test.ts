import { staticFlags } from "@sluice/guard";
import { fakeProvider, textReply, type FakeCall, type FakeProvider } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { guardWithTools, type Orders, type Question } from "./tools.ts";

const question: Question = { text: "Where is my order 7?" };
const orders: Orders = {
  find: async (id, { owner }) => (id === "7" && owner === "user-1" ? { state: "sent" } : undefined),
};

/** A model that asks for these calls in its first turn, and then says what it was told. */
function calling(
  ...calls: readonly { readonly name: string; readonly arguments: string }[]
): FakeProvider<Question> {
  return fakeProvider<Question>({
    onCall: (call: FakeCall<Question>) => {
      const [step] = call.asked.steps;
      if (step !== undefined) {
        call.reply(textReply(step.results.map(({ output }) => output).join(" ")));
        return;
      }
      const toolCalls = calls.map((each, at) => ({ id: `call-${at}`, ...each }));
      call.reply({ ok: true, output: { kind: "text", text: "" }, toolCalls });
    },
  });
}

const open = () => staticFlags({ help_ai: { enabled: true } });

describe("the tool of the page", () => {
  it("is run with arguments that parsed, for the subject of the request", async () => {
    const provider = calling({ name: "find_order", arguments: '{"number":"7"}' });
    const guard = guardWithTools(provider, orders, open());
    expect(await guard.run(question, { subject: "user-1" })).toMatchObject({
      status: "SUCCEEDED",
      value: { reply: '{"state":"sent"}' },
      record: { tools: [{ tool: "find_order" }], attempts: [{}, {}] },
    });
    expect(await guard.run(question, { subject: "user-2" })).toMatchObject({
      value: { reply: '{"error":"no such order"}' },
    });
    guard.close();
  });

  it("gives the model a code for what can't be run, and the request goes on", async () => {
    const provider = calling(
      { name: "find_order", arguments: '{"number":"seven"}' },
      { name: "drop_table", arguments: "{}" },
    );
    const guard = guardWithTools(provider, orders, open());
    expect(await guard.run(question, { subject: "user-1" })).toMatchObject({
      status: "SUCCEEDED",
      value: { reply: '{"error":"ARGUMENTS_INVALID"} {"error":"UNKNOWN_TOOL"}' },
      record: {
        tools: [
          { tool: "find_order", code: "ARGUMENTS_INVALID" },
          { tool: "unknown", code: "UNKNOWN_TOOL" },
        ],
      },
    });
    guard.close();
  });

  it("is not run any more when the feature is shut meanwhile", async () => {
    const provider = fakeProvider<Question>();
    const guard = guardWithTools(provider, orders, open());
    const running = guard.run(question, { subject: "user-1" });
    provider.last().reply({
      ok: true,
      output: { kind: "text", text: "" },
      toolCalls: [{ id: "call-1", name: "find_order", arguments: '{"number":"7"}' }],
    });
    guard.kill();
    expect(await running).toMatchObject({ status: "STUBBED", reason: "KILLED" });
    guard.close();
  });

  it("ends a request that would call tools forever", async () => {
    const provider = fakeProvider<Question>({
      onCall: (call) =>
        call.reply({
          ok: true,
          output: { kind: "text", text: "" },
          toolCalls: [{ id: "call-1", name: "find_order", arguments: '{"number":"7"}' }],
        }),
    });
    const guard = guardWithTools(provider, orders, open());
    expect(await guard.run(question, { subject: "user-1" })).toMatchObject({
      status: "FAILED",
      failure: { code: "OUTPUT_TRUNCATED" },
    });
    expect(provider.calls).toHaveLength(4);
    guard.close();
  });
});
