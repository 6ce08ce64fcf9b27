import { hash } from "node:crypto";

/**
 * The subject's bucket, 0 to 99: the first four bytes of `sha256(salt || ':' || subject)` as an unsigned
 * big-endian integer, modulo 100. The empty salt hashes the bare subject. The same in plain SQL:
 * `('x' || substr(encode(sha256(convert_to(salt || ':' || subject, 'UTF8')), 'hex'), 1, 8))::bit(32)::bigint % 100`.
 */
export function bucketOf(salt: string, subject: string): number {
  const digest = hash("sha256", salt === "" ? subject : `${salt}:${subject}`, "hex");
  return Number.parseInt(digest.slice(0, 8), 16) % 100;
}
