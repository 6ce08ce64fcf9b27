/** The fragments of a program: what stands between `// #region` and `// #endregion`, moved to the margin. */
export function readFragments(program: string): readonly string[] {
  return [...program.matchAll(/^( *)\/\/ #region\n([^]*?)^\1\/\/ #endregion$/gm)].map(
    ([, margin = "", text = ""]) =>
      text
        .split("\n")
        .map((line) => (line.startsWith(margin) ? line.slice(margin.length) : line))
        .join("\n")
        .trimEnd(),
  );
}
