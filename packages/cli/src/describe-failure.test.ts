import { expect, it } from "vitest";
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
