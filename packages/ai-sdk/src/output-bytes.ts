import type { LanguageModelV4StreamPart } from "@ai-sdk/provider";

/**
 * UTF-8 bytes of what a model wrote in this part; undefined of a part that is no output. Output is what
 * the AI SDK's own time limits take for it: reasoning too, which its users are shown.
 */
export function outputBytes(part: LanguageModelV4StreamPart): number | undefined {
  switch (part.type) {
    case "text-delta":
    case "reasoning-delta":
    case "tool-input-delta":
      return part.delta === "" ? undefined : Buffer.byteLength(part.delta, "utf8");
    case "tool-call":
      return Buffer.byteLength(part.input, "utf8");
    case "file":
    case "reasoning-file":
      return 0;
    default:
      return undefined;
  }
}
