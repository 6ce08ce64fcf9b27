/** It shows no TypeScript; its SQL is run. */
export const page = "docs/how-to/flags-in-sql.md";
