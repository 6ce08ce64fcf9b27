/** Text of files by their path from the root of the repository, with `/` between folders. */
export type SourceTree = ReadonlyMap<string, string>;

const SOURCE = /^[^/]+\/[^/]+\/(?:src|scripts)\/.+\.[cm]?[jt]sx?$/;
const UNPUBLISHED = /^test\/|^[^/]+\/[^/]+\/scripts\/|(?:\.test|-for-tests)\.[cm]?[jt]sx?$/;

export function isSource(path: string): boolean {
  return SOURCE.test(path);
}

/** Tests and scripts: only people who work on the project run them. */
export function isUnpublished(path: string): boolean {
  return UNPUBLISHED.test(path);
}
