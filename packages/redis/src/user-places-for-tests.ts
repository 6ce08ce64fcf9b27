import type { Redis } from "ioredis";
import { idLength } from "./ids.ts";
import type { Keys } from "./keys.ts";

/** A subject's leases, whether over or not. */
export async function readUserPlaces(
  client: Pick<Redis, "hgetBuffer">,
  keys: Keys,
  subject: string,
): Promise<readonly { readonly id: string; readonly expiresMs: number }[]> {
  const list = await client.hgetBuffer(keys.usersInFlight, keys.hashed(subject));
  const bytes = 8 + idLength;
  return Array.from({ length: (list?.length ?? 0) / bytes }, (_, place) => ({
    id: list?.toString("latin1", place * bytes + 8, (place + 1) * bytes) ?? "",
    expiresMs: list?.readDoubleLE(place * bytes) ?? 0,
  }));
}
