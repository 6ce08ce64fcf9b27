import { gateNames } from "@sluice/contract";
import { DOMParser } from "@xmldom/xmldom";
import { describe, expect, it } from "vitest";
import { plant } from "./plant.ts";
import { readText } from "./repository.ts";

const picture = readText("docs/request-path.svg");

describe("the picture of a request's path", () => {
  it("is well-formed SVG", () => {
    expect(faultsOf(picture)).toEqual([]);
  });

  it("is held to it: an open element and another root are faults", () => {
    expect(faultsOf(plant(picture, "</svg>", ""))).not.toEqual([]);
    expect(faultsOf("<html/>")).toEqual(["no svg"]);
  });

  it("shows the gates in their order", () => {
    expect(gatesIn(picture)).toEqual(gateNames);
    expect(gatesIn(plant(picture, ">opt-in<", ">opt-out<"))).not.toEqual(gateNames);
  });
});

function faultsOf(svg: string): string[] {
  const faults: string[] = [];
  const parser = new DOMParser({ onError: (level, message) => faults.push(`${level} ${message}`) });
  try {
    const root = parser.parseFromString(svg, "image/svg+xml").documentElement;
    if (root?.localName !== "svg") faults.push("no svg");
  } catch {
    // Told to onError.
  }
  return faults;
}

/** What stands in the boxes that are drawn as gates, in the form of their names. */
function gatesIn(svg: string): readonly string[] {
  const boxes = svg.matchAll(/<rect class="(?:gate|safety)"[^>]*><text[^>]*>([^<]*)</g);
  return [...boxes].map(([, text = ""]) => text.replace(" %", "").replace(" ", "-"));
}
