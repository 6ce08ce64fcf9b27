/** An int8 as PostgreSQL writes it: a number where that is exact, otherwise a bigint. */
export function parseInt8(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}
