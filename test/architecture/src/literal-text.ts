import type { Node } from "oxc-parser";

/** Text of a string or template literal; a value that is filled in reads `?`. */
export function literalText(node: Node): string | undefined {
  if (node.type === "Literal" && typeof node.value === "string") {
    return node.value;
  }
  if (node.type === "TemplateLiteral") {
    return node.quasis.map((quasi) => quasi.value.raw).join("?");
  }
  return undefined;
}

/** Text of a literal that is the same at each run. */
export function constantText(node: Node): string | undefined {
  return node.type === "TemplateLiteral" && node.expressions.length > 0
    ? undefined
    : literalText(node);
}
