import type { FlagProblem } from "@sluice/contract";

/** What an operator is told of a malformed value: where it stands and how it is read. */
export function problemText({ variable, expected, readAs }: FlagProblem): string {
  return `${variable} is malformed: expected ${expected}; it is read as ${readAs}`;
}
