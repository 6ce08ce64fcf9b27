import type { RedisAdmissionSettings } from "./admission-options.ts";
import { createKeys, createSubjectHash, shardOf, type Keys } from "./keys.ts";

/** Where each subject is counted. */
export interface Shards {
  /** At least one. */
  readonly all: readonly Keys[];
  /** Has what is not split. */
  readonly first: Keys;
  at(index: number): Keys;
  /** The place of a subject's. */
  indexOf(subject: string): number;
  keysOf(subject: string): Keys;
}

export function createShards(
  settings: Pick<RedisAdmissionSettings, "namespace" | "secret" | "shards">,
): Shards {
  const { namespace, secret } = settings;
  const count = settings.shards?.count ?? 1;
  const hashed = createSubjectHash(secret);
  const keysOfShard = (shard: number): Keys => createKeys(namespace, secret, shard, hashed);
  const first = keysOfShard(0);
  const all = [first, ...Array.from({ length: count - 1 }, (_, index) => keysOfShard(index + 1))];
  const indexOf = (subject: string): number => (count === 1 ? 0 : shardOf(hashed(subject), count));
  const at = (index: number): Keys => all[index] ?? first;
  return { all, first, at, indexOf, keysOf: (subject) => at(indexOf(subject)) };
}
