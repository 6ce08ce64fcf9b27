import { once } from "node:events";
import { createServer } from "node:net";
import { postgres } from "@sluice/sql";
import { expect, it, onTestFinished } from "vitest";
import { describeFailure } from "./describe-failure.ts";
import { exitCodes } from "./exit-codes.ts";
import { urlSecrets } from "./url-secrets.ts";

it("what nobody foresaw is an internal error in one line, without secrets", () => {
  const url = "postgresql://me:p%40ss@host/x?sslpassword=other";
  const error = new TypeError(`no such\nthing: p%40ss p@ss other ${url}`);
  expect(describeFailure(error, urlSecrets(url))).toEqual({
    exitCode: exitCodes.internal,
    line: "internal error (TypeError): no such\u{fffd}thing: *** *** *** ***",
  });
  expect(describeFailure("text", [])).toMatchObject({ exitCode: exitCodes.internal });
});

it.each([
  ["28P01", exitCodes.unreachable],
  ["53300", exitCodes.unreachable],
  ["57P03", exitCodes.unreachable],
  ["25006", exitCodes.refused],
  ["42501", exitCodes.refused],
  ["SL001", exitCodes.refused],
  ["55P03", exitCodes.refused],
  ["42P01", exitCodes.notFound],
  ["XX000", exitCodes.internal],
])("SQLSTATE %s ends with %i", (code, exitCode) => {
  expect(describeFailure(Object.assign(new Error("told"), { code }), [])).toMatchObject({
    exitCode,
  });
});

it("a refusal of each address of localhost is that of the first", () => {
  const refused = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  expect(describeFailure(new AggregateError([refused]), [])).toEqual({
    exitCode: exitCodes.unreachable,
    line: "the database can't be reached: ECONNREFUSED",
  });
});

/** A message of PostgreSQL's that asks for the next step of the log-in. */
function authentication(step: number, text: string): Buffer {
  const body = Buffer.alloc(9 + Buffer.byteLength(text));
  body.write("R");
  body.writeInt32BE(body.length - 1, 1);
  body.writeInt32BE(step, 5);
  body.write(text, 9);
  return body;
}

it.each(["", ":"])(
  "a server that asks for a password, given a URL without one (me%s@), is told of in these words",
  async (password) => {
    const server = createServer((socket) => {
      // SCRAM: which ways there are, and the server's first message.
      const steps = [
        authentication(10, "SCRAM-SHA-256\0\0"),
        authentication(11, "r=n,s=AA==,i=4096"),
      ];
      socket.on("error", () => undefined);
      socket.on("data", () => void socket.write(steps.shift() ?? ""));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const db = postgres({ connectionString: `postgresql://me${password}@127.0.0.1:${port}/d` });
    const error: unknown = await db.query("SELECT 1").catch((thrown: unknown) => thrown);
    await db.close();
    expect(describeFailure(error, [])).toEqual({
      exitCode: exitCodes.unreachable,
      line: "the database can't be reached: the server asks for a password: none was given",
    });
  },
);
