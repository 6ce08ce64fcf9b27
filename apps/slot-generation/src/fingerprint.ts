import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { Fingerprint } from "./journal-record.ts";

const chunkBytes = 256 * 1024;

/**
 * What tells a jobs file from another, and whether it begins with what was read before: jobs may be
 * added at its end.
 */
export async function fingerprintOf(
  file: FileHandle,
  earlier: Fingerprint | undefined,
): Promise<{ readonly now: Fingerprint; readonly beginsWithEarlier: boolean }> {
  const hash = createHash("sha256");
  const chunk = Buffer.allocUnsafe(chunkBytes);
  let bytes = 0;
  let earlierSha256 = earlier?.bytes === 0 ? hash.copy().digest("hex") : undefined;
  for (;;) {
    const upTo = earlier !== undefined && bytes < earlier.bytes ? earlier.bytes : Infinity;
    const { bytesRead } = await file.read(chunk, 0, Math.min(chunkBytes, upTo - bytes), bytes);
    if (bytesRead === 0) break;
    hash.update(chunk.subarray(0, bytesRead));
    bytes += bytesRead;
    if (bytes === upTo) earlierSha256 = hash.copy().digest("hex");
  }
  return {
    now: { bytes, sha256: hash.digest("hex") },
    beginsWithEarlier: earlier === undefined || earlierSha256 === earlier.sha256,
  };
}
