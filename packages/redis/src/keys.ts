import { createHmac } from "node:crypto";

/** Where the counts of one namespace stand in Redis. */
export interface Keys {
  readonly globalInFlight: string;
  readonly messageRate: string;
  readonly toolRate: string;
  /** What processes hold of global limits, in blocks. */
  readonly blocks: string;
  /** The processes that share the limits. */
  readonly processes: string;
  userInFlight(subject: string): string;
  /** What a day cost all, and its reservations. */
  budgets(day: string): string;
  /** What it cost each subject. */
  userBudgets(day: string): string;
  /** A subject as it stands in Redis. */
  hashed(subject: string): string;
}

/** Sixteen bytes of a keyed hash: no id of a person stands in Redis, and none can be tried out without the secret. */
const hashLength = 22;
/** Subjects whose hash is kept at hand. */
const remembered = 10_000;

/**
 * The keys of one shard. Each begins with the same hash tag, so that one decision stays in one slot of a
 * cluster. Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
 */
export function createKeys(namespace: string, secret: string, shard = 0): Keys {
  const tag = `{adm:${namespace}:${shard}}`;
  const known = new Map<string, string>();
  const hashed = (subject: string): string => {
    const before = known.get(subject);
    if (before !== undefined) return before;
    const hash = createHmac("sha256", secret).update(subject).digest("base64url");
    const short = hash.slice(0, hashLength);
    if (known.size >= remembered) known.clear();
    // A long one is not worth its room.
    if (subject.length <= 128) known.set(subject, short);
    return short;
  };
  return {
    globalInFlight: `${tag}:in`,
    messageRate: `${tag}:msg`,
    toolRate: `${tag}:tool`,
    blocks: `${tag}:blocks`,
    processes: `${tag}:processes`,
    userInFlight: (subject) => `${tag}:in:${hashed(subject)}`,
    budgets: (day) => `${tag}:day:${day}`,
    userBudgets: (day) => `${tag}:day:${day}:users`,
    hashed,
  };
}
