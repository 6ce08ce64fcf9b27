import { describe, expect, it } from "vitest";
import { checkLinks, findUnreachable } from "./check-links.ts";
import { plant } from "./plant.ts";
import { PAGES, readText } from "./repository.ts";

describe("the links of the pages", () => {
  it.each(PAGES)("%s links only to what is there", (path) => {
    expect(checkLinks(path, readText(path))).toEqual([]);
  });

  it.each([
    ["a file", "(docs/request-path.svg)", "(docs/path.svg)", "docs/path.svg is not there"],
    [
      "a heading",
      "(docs/reference/reasons.md)",
      "(docs/reference/reasons.md#closing)",
      "docs/reference/reasons.md#closing has no such heading",
    ],
    [
      "a heading of its own",
      "(docs/benchmarks.md)",
      "(#read-off)",
      "#read-off has no such heading",
    ],
  ])("are held to it: %s that is not there is a fault", (_, good, bad, fault) => {
    expect(checkLinks("README.md", plant(readText("README.md"), good, bad))).toEqual([
      `README.md: ${fault}`,
    ]);
  });

  it("lead from README to every page of the docs", () => {
    const docs = PAGES.filter((path) => path.startsWith("docs/"));
    expect(docs).toContain("docs/architecture.md");
    expect(findUnreachable("README.md", docs)).toEqual([]);
    expect(findUnreachable("docs/benchmarks.md", docs)).toContain("docs/architecture.md");
  });
});
