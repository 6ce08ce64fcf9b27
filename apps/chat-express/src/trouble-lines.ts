/** How a part of the control plane gets on with its database. */
export interface Trouble {
  /** `away`, `failing`, or that it goes on again. */
  readonly state: string;
  readonly code?: string | undefined;
}

const well: ReadonlySet<string> = new Set(["written", "beating", "rolling"]);

/**
 * One line where a part begins to fail. Where the database is gone all parts fail at once, so what others
 * fail by already is not said again; nor is that all is well again.
 */
export function troubleLines(
  print: (line: string) => void,
): (part: string, trouble: Trouble) => void {
  const failing = new Map<string, string>();
  return (part, { state, code }) => {
    if (well.has(state)) {
      failing.delete(part);
      return;
    }
    const why = code ?? state;
    const isKnown = [...failing.values()].includes(why);
    failing.set(part, why);
    if (!isKnown) print(`${part}: ${code === undefined ? state : `${state}, ${code}`}`);
  };
}
