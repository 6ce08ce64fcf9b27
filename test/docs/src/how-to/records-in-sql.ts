/** It shows no TypeScript; its SQL is run. */
export const page = "docs/how-to/records-in-sql.md";
