import { readText, WireError, type WireMessage } from "./pg-wire.ts";

/** How a connection begins. */
export type WireStart =
  | { readonly kind: "encryption" }
  | { readonly kind: "cancel" }
  | {
      readonly kind: "session";
      /** `application_name` and the like. */
      readonly parameters: ReadonlyMap<string, string>;
      /** Where a later protocol than 3.0 was asked for: the names of its options. */
      readonly laterOptions: readonly string[] | undefined;
    };

const cancelRequest = 80_877_102;
const sslRequest = 80_877_103;
const gssEncRequest = 80_877_104;

/**
 * Reads the first message of a connection.
 * @throws {WireError} at another protocol than 3, or one that can't be read.
 */
export function readStart({ body }: WireMessage): WireStart {
  if (body.length < 4) throw new WireError("08P01", "a first message without a version");
  const code = body.readInt32BE(0);
  if (code === cancelRequest) return { kind: "cancel" };
  if (code === sslRequest || code === gssEncRequest) return { kind: "encryption" };
  if (code >> 16 !== 3) throw new WireError("0A000", "another protocol than version 3");
  const parameters = new Map<string, string>();
  for (let at = 4; body[at] !== 0; ) {
    const name = readText(body, at);
    const value = readText(body, name.end);
    parameters.set(name.text, value.text);
    at = value.end;
  }
  const options = [...parameters.keys()].filter((name) => name.startsWith("_pq_."));
  const isLater = (code & 0xffff) > 0 || options.length > 0;
  return { kind: "session", parameters, laterOptions: isLater ? options : undefined };
}
