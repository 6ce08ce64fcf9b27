import { describe, expect, it } from "vitest";
import { checkFailureCodes } from "./check-failure-codes.ts";
import { plant } from "./plant.ts";
import { readPage } from "./read-page.ts";
import { readText } from "./repository.ts";

const text = readText("docs/reference/failure-codes.md");

describe("the page of failure codes", () => {
  it("lists the codes that there are, what follows them, what a breaker learns and the status", () => {
    expect(checkFailureCodes(readPage(text))).toEqual([]);
  });

  it.each([
    ["a missing code", ["`REFUSED`", "REFUSED"], "REFUSED is not documented"],
    ["an invented code", ["`REFUSED`", "`DENIED`"], "DENIED is documented and does not exist"],
    [
      "a wrong lesson",
      ["| success | 502 |", "| nothing | 502 |"],
      "REFUSED, breaker: the code says success",
    ],
    [
      "a wrong status",
      ["| failure | 504 |", "| failure | 502 |"],
      "PROVIDER_TIMEOUT, status: the code says 504",
    ],
    [
      "a wrong word on retries",
      ["| no | yes | 60 s |", "| yes | yes | 60 s |"],
      "PROVIDER_QUOTA, tried again: the code says no",
    ],
    [
      "a wrong word on failover",
      ["| no | yes | 10 s |", "| no | no | 10 s |"],
      "PROVIDER_AUTH, another stands in: the code says yes",
    ],
    [
      "a wrong time to be left alone",
      ["| 60 s |", "| 6 s |"],
      "PROVIDER_QUOTA, left alone: the code says 60 s",
    ],
    ["a missing code of a tool call", ["| `STOPPED` |", "| |"], "STOPPED is not documented"],
  ] as const)("is held to it: %s is a fault", (_, [good, bad], fault) => {
    expect(checkFailureCodes(readPage(plant(text, good, bad)))).toContain(fault);
  });
});
