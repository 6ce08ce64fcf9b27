/** Text of files by their path from the root of the repository, with `/` between folders. */
export type SourceTree = ReadonlyMap<string, string>;

const SOURCE = /\.[cm]?[jt]sx?$/;
const TEST = /\.test\.[cm]?[jt]sx?$/;

export function isSource(path: string): boolean {
  return SOURCE.test(path) && path.split("/")[2] === "src";
}

export function isTest(path: string): boolean {
  return path.startsWith("test/") || TEST.test(path);
}
