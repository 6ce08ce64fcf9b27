import type { ProviderEvent, Usage } from "@sluice/contract";
import type { JsonObject } from "./narrow-json.ts";

/** Takes the events that a frame holds; they are pulled from it one at a time. */
export type Emit = (event: ProviderEvent) => void;

/** What a stream's frames mean in one API. It ends the stream by emitting `finish` or `failed`, once. */
export interface FrameReader {
  readonly usage: Usage | undefined;
  /** A frame that holds no error. */
  frame(frame: JsonObject, emit: Emit): void;
  /** The stream is over: `told` by its sentinel `[DONE]`, or because no more of it came. */
  end(told: boolean, emit: Emit): void;
}
