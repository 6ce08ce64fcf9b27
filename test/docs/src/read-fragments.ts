/**
 * The fragments of a program: what stands between `// #region` and `// #endregion`, moved to the margin.
 * `// #region +` goes on with the one before it, after an empty line.
 */
export function readFragments(program: string): readonly string[] {
  const fragments: string[] = [];
  for (const [, margin = "", plus, text = ""] of program.matchAll(
    /^( *)\/\/ #region( \+)?\n([^]*?)^\1\/\/ #endregion$/gm,
  )) {
    const fragment = text
      .split("\n")
      .map((line) => (line.startsWith(margin) ? line.slice(margin.length) : line))
      .join("\n")
      .trimEnd();
    if (plus === undefined) fragments.push(fragment);
    else fragments.push(`${fragments.pop() ?? ""}\n\n${fragment}`);
  }
  return fragments;
}
