/**
 * An upper bound of a text's tokens, in linear time: its bytes in UTF-8, a lone surrogate counted as the
 * U+FFFD it is sent as. Byte-level BPE (all OpenAI models) merges bytes, so no token is shorter than one
 * byte; a real tokenizer can be quadratic in an attacker's text. Source: https://github.com/openai/tiktoken
 */
export function tokenUpperBound(text: string): number {
  return Buffer.byteLength(text, "utf8");
}
