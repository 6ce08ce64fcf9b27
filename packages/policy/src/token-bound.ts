/**
 * An upper bound of a text's tokens, in linear time: its bytes in UTF-8. Byte-level BPE (all OpenAI
 * models) merges bytes, so no token is shorter than one byte; a real tokenizer can be quadratic in an
 * attacker's text. Source: https://github.com/openai/tiktoken
 */
export function tokenUpperBound(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    // A surrogate pair is four bytes in two units; a lone one becomes U+FFFD, three bytes.
    if (unit > 0x7f) bytes += unit > 0x7ff ? 2 : 1;
  }
  return bytes;
}
