/** Redis answers, and a key that is named holds what somebody else left there: this can't be told. */
export const wrongType = "wrong_type";
export type WrongType = typeof wrongType;

/** Whether Redis said that of a command. Its older versions say it in the middle of a line about the script. */
export function isWrongType(error: unknown): boolean {
  return error instanceof Error && error.message.includes("WRONGTYPE ");
}
