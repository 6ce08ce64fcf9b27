/** The next line that comes in; what had come where the input ends without one. */
export async function readAnswer(input: AsyncIterator<string | Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  // Not for await: that would close the input, and there may be another question.
  while (!text.includes("\n")) {
    const piece = await input.next();
    if (piece.done === true) break;
    text +=
      typeof piece.value === "string" ? piece.value : decoder.decode(piece.value, { stream: true });
  }
  return (text.split("\n")[0] ?? "").trim();
}
