/** Takes text that may leave; the promise resolves when there is room for more. */
export type WriteText = (text: string) => Promise<void> | undefined;
