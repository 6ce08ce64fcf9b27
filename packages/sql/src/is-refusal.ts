/**
 * Whether an SQLSTATE says that the table takes no such row, ever: class 22 is what the data is not, 23
 * what the table does not allow, P0 what a trigger raises.
 */
export function isRefusal(code: string): boolean {
  return /^(?:22|23|P0)[0-9A-Z]{3}$/.test(code);
}
