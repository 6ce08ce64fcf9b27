/** A new id on each call: unguessable, unique, safe in headers, URLs and logs. */
export type NewId = () => string;
