/** What a page and the code do not agree on, a line each. */
export function differences(documented: readonly string[], real: readonly string[]): string[] {
  return [
    ...real.filter((name) => !documented.includes(name)).map((name) => `${name} is not documented`),
    ...documented
      .filter((name) => !real.includes(name))
      .map((name) => `${name} is documented and does not exist`),
    ...documented
      .filter((name, at) => documented.indexOf(name) !== at)
      .map((name) => `${name} is documented twice`),
  ];
}
