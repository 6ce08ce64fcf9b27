export interface Violation {
  /** File, and line where there is one. */
  readonly where: string;
  readonly what: string;
}

/** One line for each, for people. */
export function describeViolations(violations: readonly Violation[]): string[] {
  return violations.map(({ where, what }) => `${where} ${what}`);
}
