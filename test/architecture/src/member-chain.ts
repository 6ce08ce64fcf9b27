import type { Node } from "oxc-parser";
import { constantText } from "./literal-text.ts";

/** `a.b.c` for `a.b.c`, `a?.b["c"]` or `(a as B).b.c`; nothing where a part is computed. */
export function memberChain(node: Node): string | undefined {
  switch (node.type) {
    case "Identifier":
      return node.name;
    case "MetaProperty":
      return `${node.meta.name}.${node.property.name}`;
    case "ChainExpression":
    case "ParenthesizedExpression":
    case "TSAsExpression":
    case "TSNonNullExpression":
    case "TSSatisfiesExpression":
      return memberChain(node.expression);
    case "MemberExpression": {
      const object = memberChain(node.object);
      const property = node.computed
        ? constantText(node.property)
        : node.property.type === "Identifier"
          ? node.property.name
          : undefined;
      return object === undefined || property === undefined ? undefined : `${object}.${property}`;
    }
    default:
      return undefined;
  }
}
