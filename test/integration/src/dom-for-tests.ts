// @ts-expect-error -- it brings no types.
import { JSDOM } from "jsdom";

/*
 * The DOM that React needs, and no more: Vitest's own jsdom would put its `AbortController`, `Event` and others
 * in the place of Node's, for the servers of the same process too. Import it before React.
 */
const { window } = new (JSDOM as new (html: string) => { window: { document: object } })(
  "<!doctype html><title>Chat</title>",
);
Object.assign(globalThis, { window, document: window.document });
