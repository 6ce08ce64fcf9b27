/**
 * Messages of PostgreSQL's protocol 3, as a server reads and writes them.
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export interface WireMessage {
  /** Its letter; empty for the first one of a connection, which has none. */
  readonly type: string;
  readonly body: Buffer;
  /** All of it, as it came. */
  readonly bytes: Buffer;
}

/** The client is told, and its connection ends. */
export class WireError extends Error {
  /** An SQLSTATE. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "WireError";
    this.code = code;
  }
}

export interface WireReader {
  push(chunk: Buffer): void;
  /**
   * The next whole message, undefined until all of it is there.
   * @throws {WireError} at a length that is none, or over the limit.
   */
  next(kind: "first" | "typed", maxBytes: number): WireMessage | undefined;
}

/** Puts messages together out of what arrives; a message's bytes are joined once. */
export function createWireReader(): WireReader {
  let chunks: Buffer[] = [];
  let size = 0;
  let wanted = 0;
  return {
    push(chunk) {
      chunks.push(chunk);
      size += chunk.length;
    },
    next(kind, maxBytes) {
      const before = kind === "first" ? 0 : 1;
      if (size < Math.max(before + 4, wanted)) return undefined;
      const all = chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks);
      const length = all.readInt32BE(before);
      if (length < 4 || length > maxBytes) {
        throw new WireError("08P01", `a message of ${length} bytes; at most ${maxBytes} are taken`);
      }
      const end = before + length;
      chunks = [all];
      wanted = end;
      if (size < end) return undefined;
      chunks = all.length === end ? [] : [all.subarray(end)];
      size -= end;
      wanted = 0;
      return {
        type: all.toString("latin1", 0, before),
        body: all.subarray(before + 4, end),
        bytes: all.subarray(0, end),
      };
    },
  };
}

export function encodeMessage(type: string, ...parts: readonly (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === "string" ? text(part) : part)));
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export function encodeError(
  severity: "ERROR" | "FATAL",
  { code, message }: { readonly code: string; readonly message: string },
): Buffer {
  const fields = [`S${severity}`, `V${severity}`, `C${code}`, `M${message}`];
  return encodeMessage("E", ...fields, Buffer.alloc(1));
}

/** The rest of a text up to its NUL, and where what comes after it begins. */
export function readText(body: Buffer, start = 0): { readonly text: string; readonly end: number } {
  const nul = body.indexOf(0, start);
  if (nul === -1) throw new WireError("08P01", "a text without its end");
  return { text: body.toString("utf8", start, nul), end: nul + 1 };
}

export function encodeInt32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeInt32BE(value, 4 * index);
  return bytes;
}

export interface WireAnswer {
  /** Without notifications, which go their own way to whoever listens. */
  readonly bytes: Buffer;
  /** `I` outside a transaction, `T` in one, `E` in a failed one; undefined where the client goes on. */
  readonly status: string | undefined;
  /** What was carried out: `SELECT 1`, `BEGIN`. */
  readonly tags: readonly string[];
}

/** What a server answered to a batch of messages. */
export function readAnswer(answer: Uint8Array): WireAnswer {
  const all = Buffer.from(answer.buffer, answer.byteOffset, answer.byteLength);
  const kept: Buffer[] = [];
  const tags: string[] = [];
  let status: string | undefined;
  for (let start = 0; start < all.length; ) {
    const end = start + 1 + all.readInt32BE(start + 1);
    const type = all.toString("latin1", start, start + 1);
    if (type === "C") tags.push(readText(all, start + 5).text);
    if (type === "Z") status = all.toString("latin1", start + 5, start + 6);
    if (type !== "A") kept.push(all.subarray(start, end));
    start = end;
  }
  return { bytes: Buffer.concat(kept), status, tags };
}

function text(part: string): Buffer {
  return Buffer.from(`${part}\0`);
}
