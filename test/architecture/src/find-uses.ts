import type { ImportDeclaration, Node } from "oxc-parser";
import { memberChain } from "./member-chain.ts";
import type { ParsedSource } from "./parse-source.ts";
import { walkSyntax } from "./walk-syntax.ts";

export interface FoundUse {
  /** `Date.now`, `setTimeout`, `new Date()`; what comes from `node:x` is `x.…`, whatever it is called here. */
  readonly name: string;
  readonly line: number;
}

const GLOBAL_OBJECT = /^(?:globalThis|global|window|self)\./;

/** Names that running code of a file uses. */
export function findUses(source: ParsedSource): FoundUse[] {
  const found: FoundUse[] = [];
  const moduleNames = new Map<string, string>();
  const declarations = new Set<Node>();

  walkSyntax(source.program, (node, isType) => {
    if (isType) {
      return;
    }
    const add = (name: string): void => {
      const [root = "", ...rest] = name.replace(GLOBAL_OBJECT, "").split(".");
      const qualified = [moduleNames.get(root) ?? root, ...rest].join(".");
      found.push({ name: qualified, line: source.lineAt(node.start) });
    };

    switch (node.type) {
      case "ImportDeclaration":
        for (const specifier of node.specifiers) {
          declarations.add(specifier.local);
          if (specifier.type === "ImportSpecifier") {
            declarations.add(specifier.imported);
          }
        }
        for (const name of importedFromNode(node, moduleNames)) {
          add(name);
        }
        break;
      case "NewExpression":
        if (node.arguments.length === 0) {
          add(`new ${memberChain(node.callee) ?? "?"}()`);
        }
        break;
      case "VariableDeclarator": {
        const from = node.init === null ? undefined : memberChain(node.init);
        if (from !== undefined && node.id.type === "ObjectPattern") {
          for (const property of node.id.properties) {
            if (property.type === "Property") {
              add(`${from}.${memberChain(property.key) ?? "?"}`);
            }
          }
        }
        break;
      }
      case "Property":
      case "MethodDefinition":
      case "PropertyDefinition":
        if (!node.computed && !("shorthand" in node && node.shorthand)) {
          declarations.add(node.key);
        }
        break;
      case "MemberExpression":
        if (!node.computed) {
          declarations.add(node.property);
        }
        addChain(node, add);
        break;
      case "Identifier":
        if (!declarations.has(node)) {
          addChain(node, add);
        }
        break;
      default:
        break;
    }
  });
  return found;
}

function addChain(node: Node, add: (name: string) => void): void {
  const chain = memberChain(node);
  if (chain !== undefined) {
    add(chain);
  }
}

/** Names taken from a module of Node, and in `moduleNames` what this file calls the module itself. */
function importedFromNode(node: ImportDeclaration, moduleNames: Map<string, string>): string[] {
  const module = /^node:(.+)$/.exec(node.source.value)?.[1];
  if (module === undefined || node.importKind === "type") {
    return [];
  }
  return node.specifiers.flatMap((specifier) => {
    if (specifier.type !== "ImportSpecifier") {
      moduleNames.set(specifier.local.name, module);
      return [];
    }
    const name = memberChain(specifier.imported);
    return specifier.importKind === "type" || name === undefined ? [] : [`${module}.${name}`];
  });
}
