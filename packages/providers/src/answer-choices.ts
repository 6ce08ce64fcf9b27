import { listOf, objectOf } from "./narrow-json.ts";

/** With `n` above 1, which an application may have a proxy add, choices are told apart by their index. */
export function indexOfChoice(choice: unknown): number {
  return Number(objectOf(choice)["index"] ?? 0);
}

/** The choices of an answer or of a frame, without what is none. */
export function choicesOf(told: unknown): readonly unknown[] {
  return listOf(told).filter((choice) => typeof choice === "object" && choice !== null);
}

export function isFirstChoice(choice: unknown): boolean {
  return indexOfChoice(choice) === 0;
}
