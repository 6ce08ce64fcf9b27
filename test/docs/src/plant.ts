/** A page with a fault planted in it; throws where there is nothing to spoil. */
export function plant(text: string, good: string, bad: string): string {
  if (!text.includes(good)) throw new Error(`nothing to spoil: ${good}`);
  return text.replace(good, () => bad);
}
