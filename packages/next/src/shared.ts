import { globalState } from "./global-state.ts";

/**
 * One value for the whole process, whatever bundles it is asked for in: a guard, a flag source, a database.
 * It is made when it is first asked for, and hot reload keeps it: a change of what makes it needs a restart.
 * What throws, and a promise that rejects, is not kept: who asks next makes it anew.
 * @param name the value's own, in this application
 */
export function shared<T>(name: string, make: () => T): T {
  const { shared: values } = globalState();
  if (values.has(name)) return values.get(name) as T;
  const made = make();
  values.set(name, made);
  if (made instanceof Promise) {
    made.catch(() => {
      if (values.get(name) === made) values.delete(name);
    });
  }
  return made;
}
