import { createHmac } from "node:crypto";

/** Where the counts of one namespace stand in Redis. */
export interface Keys {
  /** How all of them begin. */
  readonly shard: string;
  readonly globalInFlight: string;
  readonly messageRate: string;
  readonly toolRate: string;
  /** What processes hold of global limits, in blocks. */
  readonly blocks: string;
  /** The processes that share the limits. */
  readonly processes: string;
  /** What a shard may use of limits that all have. */
  readonly shares: string;
  /** Who splits them, and when. */
  readonly rebalance: string;
  /** Subjects' requests in flight, by subject. */
  readonly usersInFlight: string;
  /** Which process counts a subject in its memory. */
  claim(subject: string): string;
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

/** Subjects as they stand in Redis. */
export function createSubjectHash(secret: string): (subject: string) => string {
  const known = new Map<string, string>();
  return (subject) => {
    const before = known.get(subject);
    if (before !== undefined) return before;
    const hash = createHmac("sha256", secret).update(subject).digest("base64url");
    const short = hash.slice(0, hashLength);
    if (known.size >= remembered) known.clear();
    // A long one is not worth its room.
    if (subject.length <= 128) known.set(subject, short);
    return short;
  };
}

/** The shard of a subject, from 0. It depends on the secret, so nobody can choose subjects of one shard. */
export function shardOf(hashed: string, count: number): number {
  // Six characters hold the first four bytes.
  return Buffer.from(hashed.slice(0, 6), "base64url").readUInt32BE() % count;
}

/**
 * The keys of one shard. Each begins with the same hash tag, so that one decision stays in one slot of a
 * cluster. Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
 */
export function createKeys(
  namespace: string,
  secret: string,
  shard = 0,
  /** Shards of one store may share it. */
  hashed = createSubjectHash(secret),
): Keys {
  const tag = `{adm:${namespace}:${shard}}`;
  return {
    shard: tag,
    globalInFlight: `${tag}:in`,
    messageRate: `${tag}:msg`,
    toolRate: `${tag}:tool`,
    blocks: `${tag}:blocks`,
    processes: `${tag}:processes`,
    shares: `${tag}:share`,
    rebalance: `${tag}:rebalance`,
    usersInFlight: `${tag}:in:users`,
    claim: (subject) => `${tag}:in:${hashed(subject)}:own`,
    budgets: (day) => `${tag}:day:${day}`,
    userBudgets: (day) => `${tag}:day:${day}:users`,
    hashed,
  };
}
