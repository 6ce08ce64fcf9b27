import { parseSync, type Program } from "oxc-parser";

export interface ParsedSource {
  readonly path: string;
  readonly program: Program;
  /** Line of an offset, from 1. */
  lineAt(offset: number): number;
}

export function parseSource(path: string, text: string): ParsedSource {
  const { program, errors } = parseSync(path, text);
  const [error] = errors;
  if (error !== undefined) {
    throw new Error(`${path}: ${error.message}`);
  }
  return { path, program, lineAt: (offset) => text.slice(0, offset).split("\n").length };
}
