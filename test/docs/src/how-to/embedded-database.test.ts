import { expect, it } from "vitest";
import { readText } from "../repository.ts";
import { page } from "./embedded-database.ts";

const source = readText("packages/sql/src/pglite-socket.ts");

/** The names in the first cells of the page's table. */
function documented(text: string): readonly string[] {
  const cells = [...text.matchAll(/^\| (`[^|]+`) \|/gm)].map(([, cell = ""]) => cell);
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name));
}

/** The members of the options' interface. */
function declared(text: string): readonly string[] {
  const [, body = ""] = /interface PgliteSocketOptions \{\n([^]*?)\n\}/.exec(text) ?? [];
  return [...body.matchAll(/^ {2}readonly (\w+)/gm)].map(([, name = ""]) => name);
}

it("the page has each option of the socket, and no other", () => {
  expect(documented(readText(page)).toSorted()).toEqual(declared(source).toSorted());
});

it("the page is held to them: another option is a fault", () => {
  expect(declared(source.replace("readonly port?", "readonly path?"))).not.toEqual(
    declared(source),
  );
  expect(declared(source)).toContain("clock");
});
