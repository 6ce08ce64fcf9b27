/** Bytes put together in one piece of memory, which never grows beyond its limit. */
export interface BoundedBytes {
  /** False, and nothing of it is kept, where the limit leaves no room. */
  add(chunk: Uint8Array): boolean;
  /** What came so far. */
  readonly bytes: Buffer;
}

const firstBytes = 1024;
/** Who only says that much will come takes no more of the memory at once. */
const believedBytes = 64 * 1024;

/** @param expectedBytes as the sender says, so that the memory need not grow */
export function createBoundedBytes(limitBytes: number, expectedBytes = firstBytes): BoundedBytes {
  let memory = Buffer.alloc(0);
  let length = 0;

  const grow = (neededBytes: number): void => {
    const wanted = Math.max(neededBytes, memory.length * 2, Math.min(expectedBytes, believedBytes));
    const grown = Buffer.allocUnsafeSlow(Math.min(wanted, limitBytes));
    memory.copy(grown, 0, 0, length);
    memory = grown;
  };

  return {
    add(chunk) {
      const needed = length + chunk.byteLength;
      if (needed > limitBytes) return false;
      if (needed > memory.length) grow(needed);
      // A copy: whoever owns the chunk may use its memory again.
      memory.set(chunk, length);
      length = needed;
      return true;
    },
    get bytes() {
      return memory.subarray(0, length);
    },
  };
}
