/**
 * The default of an option, read from the source: the schemas are nobody else's business. It is what a
 * member of a schema has, or what stands in for an option that was not given.
 */
export function defaultIn(source: string, name: string): string | undefined {
  for (const read of [ofMember, ofConstant, ofDestructuring, ofFallback]) {
    const value = read(source, name);
    if (value !== undefined) return toPlain(source, value);
  }
  return undefined;
}

/** `  pollMs: z.int().default(20),` */
function ofMember(source: string, name: string): string | undefined {
  const starts = source.matchAll(new RegExp(`\n( {2,4})${name}: `, "g"));
  for (const { 0: start, 1: indent = "", index } of starts) {
    const rest = source.slice(index + start.length);
    const [member = ""] = rest.split(new RegExp(`\n {0,${indent.length}}\\S`));
    const [, value] = /\.default\(([^()]*)\),$/.exec(member) ?? [];
    if (value !== undefined) return value;
  }
  return undefined;
}

/** `const timeZone = z.string().default("UTC");`, a member that is written as `timeZone,` alone. */
function ofConstant(source: string, name: string): string | undefined {
  if (!source.includes(`\n  ${name},\n`)) return undefined;
  const [, constant = ""] = new RegExp(`\nconst ${name} = ([^;]*);`).exec(source) ?? [];
  return /\.default\(([^()]*)\)$/.exec(constant)?.[1];
}

/** `const { pollMs = 20 } = options;`, or `({ pollMs = 20 }: FileOptions = {})` */
function ofDestructuring(source: string, name: string): string | undefined {
  const taken = /(?:const |\()\{([^{}]*(?:\{\}[^{}]*)*)\}(?: = options;|: \w+Options = \{\}\))/g;
  for (const [, names = ""] of source.matchAll(taken)) {
    const value = new RegExp(`(?:^|,)\\s*${name} = ([^,]+?)\\s*(?:,|$)`).exec(names)?.[1];
    if (value !== undefined) return value;
  }
  return undefined;
}

/** `options.pollMs ?? 20`, or `options.pollMs === undefined ? 20 : …` where null is no absence. */
function ofFallback(source: string, name: string): string | undefined {
  return new RegExp(`\\boptions\\.${name} (?:\\?\\?|=== undefined \\?) ([\\w"*. ]*\\w"?)`).exec(
    source,
  )?.[1];
}

/** Undefined for what a page tells in words: a function, an object, and what is empty. */
function toPlain(source: string, value: string): string | undefined {
  const isName = /^[a-z]\w*$/i.test(value);
  const constant = isName ? new RegExp(`\nconst ${value} = (.*);\n`).exec(source)?.[1] : undefined;
  const literal = constant ?? value;
  if (/^(?:true|false|".+")$/.test(literal)) return literal;
  if (!/^[\d_ *]+$/.test(literal)) return undefined;
  const factors = literal.replaceAll("_", "").split("*").map(Number);
  return String(factors.reduce((product, factor) => product * factor));
}
