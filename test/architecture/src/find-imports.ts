import type { Node } from "oxc-parser";
import { constantText } from "./literal-text.ts";
import { memberChain } from "./member-chain.ts";
import type { ParsedSource } from "./parse-source.ts";
import { walkSyntax } from "./walk-syntax.ts";

export interface FoundImport {
  /** `undefined` where it is computed, so nobody can tell. */
  readonly specifier: string | undefined;
  readonly line: number;
}

/** Everything a file imports, in every form: for its values or for its types, at once or later. */
export function findImports(source: ParsedSource): FoundImport[] {
  const found: FoundImport[] = [];
  const requires = new Set(["require"]);
  const add = (at: Node, specifier: Node | undefined): void => {
    found.push({
      specifier: specifier === undefined ? undefined : constantText(specifier),
      line: source.lineAt(at.start),
    });
  };

  walkSyntax(source.program, (node) => {
    switch (node.type) {
      case "ImportDeclaration":
      case "ExportAllDeclaration":
      case "ImportExpression":
      case "TSImportType":
        return add(node, node.source);
      case "ExportNamedDeclaration":
        return node.source === null ? undefined : add(node, node.source);
      case "TSExternalModuleReference":
        return add(node, node.expression);
      case "VariableDeclarator":
        if (node.id.type === "Identifier" && node.init !== null && isCreateRequire(node.init)) {
          requires.add(node.id.name);
        }
        return undefined;
      case "CallExpression": {
        const chain = memberChain(node.callee)?.replace(/\.resolve$/, "");
        const isRequire = chain === "import.meta" || (chain !== undefined && requires.has(chain));
        if (isRequire || isCreateRequire(node.callee)) {
          add(node, node.arguments[0]);
        }
        return undefined;
      }
      default:
        return undefined;
    }
  });
  return found;
}

function isCreateRequire(node: Node): boolean {
  return (
    node.type === "CallExpression" &&
    (memberChain(node.callee)?.split(".").includes("createRequire") ?? false)
  );
}
