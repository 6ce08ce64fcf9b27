import { describe, expect, it, vi } from "vitest";
import { shared } from "./shared.ts";

/** This module as another bundle has it. */
async function otherCopy(): Promise<typeof shared> {
  vi.resetModules();
  const other = await import("./shared.ts");
  return other.shared;
}

describe("what is shared", () => {
  it("is made once, whichever copy of the package asks", async () => {
    let made = 0;
    const make = () => ({ made: ++made });
    const first = shared("made-once", make);
    const other = await otherCopy();
    expect(other).not.toBe(shared);
    expect(other("made-once", make)).toBe(first);
    expect(made).toBe(1);
    expect(shared("another", make)).toEqual({ made: 2 });
  });

  it("is kept also where it is nothing", () => {
    let made = 0;
    const make = () => void ++made;
    shared("nothing", make);
    shared("nothing", make);
    expect(made).toBe(1);
  });

  it("is made anew after what threw, or was a promise that rejects", async () => {
    const outcomes = [
      () => {
        throw new Error("no file");
      },
      () => Promise.reject(new Error("no database")),
      () => Promise.resolve("here"),
    ];
    const ask = () => shared("made-anew", () => outcomes.shift()?.());
    expect(ask).toThrow("no file");
    await expect(ask()).rejects.toThrow("no database");
    await expect(ask()).resolves.toBe("here");
    await expect(ask()).resolves.toBe("here");
  });
});
