/** It shows no TypeScript; its table is held to the options. */
export const page = "docs/how-to/embedded-database.md";
