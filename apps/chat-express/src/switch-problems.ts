import type { FlagProblem } from "@sluice/contract";

/** Tells of each malformed switch once for as long as it stays malformed, and looks when it is called. */
export function switchProblemPrinter(
  read: () => readonly FlagProblem[],
  print: (line: string) => void,
): () => void {
  let told = new Set<string>();
  const look = (): void => {
    const problems = read();
    for (const { variable, expected, readAs } of problems) {
      if (!told.has(variable)) {
        print(`${variable} is malformed: expected ${expected}; it is read as ${readAs}`);
      }
    }
    told = new Set(problems.map(({ variable }) => variable));
  };
  look();
  return look;
}
