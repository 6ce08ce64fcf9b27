import { gateNames } from "@sluice/contract";
import type { Stage } from "@sluice/gateway";
import { DOMParser } from "@xmldom/xmldom";
import { describe, expect, it } from "vitest";
import { plant } from "./plant.ts";
import { readText } from "./repository.ts";

const picture = readText("docs/request-path.svg");
/** Complete, because the compiler sees to it. */
const STAGES: Readonly<Record<Stage, 0>> = { legacy: 0, shadow: 0, authoritative: 0 };

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

  it("shows the stages of a chat gateway in the order in which they are gone through", () => {
    expect(stagesIn(picture)).toEqual(Object.keys(STAGES));
    expect(stagesIn(plant(picture, ">shadow<", ">mirror<"))).not.toEqual(Object.keys(STAGES));
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

/** What stands first in the boxes above the gates. */
function stagesIn(svg: string): readonly string[] {
  const [above = ""] = svg.split('class="safety"');
  return [...above.matchAll(/<rect class="(?:safe|box)"[^>]*><text[^>]*>([^<]*)</g)].map(
    ([, text = ""]) => text,
  );
}

/** What stands in the boxes that are drawn as gates, in the form of their names. */
function gatesIn(svg: string): readonly string[] {
  const boxes = svg.matchAll(/<rect class="(?:gate|safety)"[^>]*><text[^>]*>([^<]*)</g);
  return [...boxes].map(([, text = ""]) => text.replace(" %", "").replace(" ", "-"));
}
