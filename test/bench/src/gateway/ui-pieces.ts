/** Reads the text of a UI message stream as it comes. */
export interface UiPieces {
  take(bytes: Buffer): void;
  /** The stream ended as one of its kind does. */
  readonly isDone: boolean;
}

interface Part {
  readonly type: string;
  readonly delta?: string;
}

export function createUiPieces(onText: (text: string) => void): UiPieces {
  let rest = "";
  let isDone = false;
  const decoder = new TextDecoder();
  return {
    take(bytes) {
      const events = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) {
        const data = event.slice("data: ".length);
        if (data === "[DONE]") {
          isDone = true;
          continue;
        }
        const { type, delta } = JSON.parse(data) as Part;
        if (type === "text-delta") onText(delta ?? "");
      }
    },
    get isDone() {
      return isDone && rest === "";
    },
  };
}
