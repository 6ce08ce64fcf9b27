/** How the upstream is to answer; what it is asked says so. */
export interface Pace {
  readonly chunks: number;
  /** Between two chunks; 0 sends all at once. */
  readonly gapMs: number;
}

export function toText(pace: Pace): string {
  return JSON.stringify(pace);
}

export function fromText(text: string): Pace {
  return JSON.parse(text) as Pace;
}

/** How long an answer takes. */
export function lengthMs({ chunks, gapMs }: Pace): number {
  return chunks * gapMs;
}
