const special = /[\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/**
 * Text as an SQL literal on one line: quotes doubled, and what could be read two ways, or break the
 * line, escaped. NUL has no literal.
 */
export function quoteLiteral(text: string): string {
  if (!special.test(text)) return `'${text.replaceAll("'", "''")}'`;
  const escaped = Array.from(text, (character) => {
    if (character === "'") return "''";
    if (character === "\\") return "\\\\";
    if (!special.test(character)) return character;
    const hex = (character.codePointAt(0) ?? 0).toString(16);
    return hex.length > 4 ? `\\U${hex.padStart(8, "0")}` : `\\u${hex.padStart(4, "0")}`;
  });
  return `E'${escaped.join("")}'`;
}
