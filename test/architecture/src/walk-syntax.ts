import { type Node, visitorKeys } from "oxc-parser";

/** Calls for each node, parents first; `isType` holds inside types, which leave no code behind. */
export function walkSyntax(
  node: Node,
  visit: (node: Node, isType: boolean) => void,
  isType = false,
): void {
  const inType = isType || (node.type.startsWith("TS") && !("expression" in node));
  visit(node, inType);
  for (const child of childrenOf(node)) {
    walkSyntax(child, visit, inType);
  }
}

function childrenOf(node: Node): Node[] {
  const fields: Readonly<Record<string, unknown>> = { ...node };
  return (visitorKeys[node.type] ?? []).flatMap((key) => [fields[key]].flat()).filter(isNode);
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value;
}
