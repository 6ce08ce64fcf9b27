import { literalText } from "./literal-text.ts";
import type { ParsedSource } from "./parse-source.ts";
import { walkSyntax } from "./walk-syntax.ts";

export interface FoundText {
  readonly text: string;
  readonly line: number;
}

/** Every string and template literal of a file. */
export function findTexts(source: ParsedSource): FoundText[] {
  const found: FoundText[] = [];
  walkSyntax(source.program, (node) => {
    const text = literalText(node);
    if (text !== undefined) {
      found.push({ text, line: source.lineAt(node.start) });
    }
  });
  return found;
}
