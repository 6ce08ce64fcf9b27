import { protocolNames, type ProtocolName } from "@sluice/gateway";
import { describe, expect, it } from "vitest";
import { differences } from "./differences.ts";
import { observeWire } from "./observe-wire.ts";
import { plant } from "./plant.ts";
import { codesOf, readPage } from "./read-page.ts";
import { readText } from "./repository.ts";

const text = readText("docs/reference/chat-protocols.md");
const observed = await observeWire();

/** Words of a protocol that both tables of answers name; others are members, headers and codes of errors. */
const word: Readonly<Record<ProtocolName, RegExp>> = {
  json: /^[a-z]+(?:-[a-z]+)*$/,
  "ui-message-stream": /^(?:[a-z]+(?:-[a-z]+)*|\[DONE\])$/,
  openai: /^(?:delta\.\w+|\[DONE\])$/,
};

/** Of a call without a result, which a guard always gives: the encoder's own tests see it. */
const unseen = "tool-output-error";

function check(page: string): string[] {
  const tables = readPage(page).tables.filter(({ heading }) => heading === "Answers");
  return protocolNames.flatMap((protocol) => {
    const named = tables.flatMap((table) => codesOf(table, `\`${protocol}\``));
    const words = new Set(named.filter((code) => word[protocol].test(code) && code !== unseen));
    return differences([...words], observed.get(protocol) ?? []).map(
      (fault) => `${protocol}: ${fault}`,
    );
  });
}

describe("the page of chat protocols", () => {
  it("names what each of them tells in a stream", () => {
    expect(check(text)).toEqual([]);
  });

  it.each([
    [
      "a missing event",
      ["`reasoning-start`, ", ""],
      "ui-message-stream: reasoning-start is not documented",
    ],
    [
      "an invented one",
      ["`tool-output-available`", "`tool-output`"],
      "ui-message-stream: tool-output is documented and does not exist",
    ],
    [
      "a member of OpenAI's",
      ["`delta.reasoning_content`", "`delta.reasoning`"],
      "openai: delta.reasoning_content is not documented",
    ],
  ] as const)("is held to it: %s", (_, [good, bad], fault) => {
    expect(check(plant(text, good, bad))).toContain(fault);
  });
});
