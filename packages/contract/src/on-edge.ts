import { ConfigError } from "./config-error.ts";

/**
 * For the entry that bundles for an edge runtime find instead of a package that needs Node: each of its
 * functions throws a ConfigError that names the runtime to use.
 */
export const onEdge = (packageName: string) => (name: string) => (): never => {
  throw new ConfigError({
    option: `${packageName} ${name}`,
    got: "the edge runtime",
    expected: 'the nodejs runtime: `export const runtime = "nodejs"` in the route',
  });
};
