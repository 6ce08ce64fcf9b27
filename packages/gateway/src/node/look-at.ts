type Method = (this: unknown, ...args: unknown[]) => unknown;

/** Methods that share it show the outermost call only: an `end` may call `write`. */
export interface Nesting {
  depth: number;
}

/**
 * Shows the arguments of each call of one object's method, before the call. What is called, on what, with
 * what, what it returns and throws stay as they are, whatever `look` does.
 * @returns what ends it
 */
export function lookAt<Target extends object>(
  target: Target,
  name: keyof Target & string,
  look: (args: readonly unknown[]) => void,
  nesting?: Nesting,
): () => void {
  const isOwn = Object.hasOwn(target, name);
  const original = target[name] as Method;
  let isLooking = true;

  const quietly = (args: readonly unknown[]): void => {
    if (!isLooking) return;
    try {
      look(args);
    } catch {
      // Nothing of ours may reach whoever calls.
    }
  };
  const looked: Method = function (...args) {
    if (nesting === undefined) {
      quietly(args);
      return Reflect.apply(original, this, args);
    }
    if (nesting.depth === 0) quietly(args);
    nesting.depth += 1;
    try {
      return Reflect.apply(original, this, args);
    } finally {
      nesting.depth -= 1;
    }
  };
  if (isOwn) Reflect.set(target, name, looked);
  else Object.defineProperty(target, name, { value: looked, writable: true, configurable: true });

  return () => {
    isLooking = false;
    // Who has wrapped it meanwhile goes on calling it, and it goes on calling.
    if (target[name] !== looked) return;
    if (isOwn) Reflect.set(target, name, original);
    else Reflect.deleteProperty(target, name);
  };
}
