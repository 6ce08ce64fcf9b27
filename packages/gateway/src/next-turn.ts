/** Resolves in a later turn of the event loop: what is due in this one, as somebody's answer, comes first. */
export function nextTurn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(resolve);
  return promise;
}
