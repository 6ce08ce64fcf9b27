import { existsSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { readPage } from "./read-page.ts";
import { readText, ROOT } from "./repository.ts";

/** Links of a page that lead nowhere: no such file, or no such heading in it. */
export function checkLinks(path: string, text: string): string[] {
  return readPage(text)
    .links.filter((link) => !isExternal(link))
    .flatMap((link) => {
      const { target, anchor } = targetOf(path, link);
      if (!existsSync(join(ROOT, target))) return [`${path}: ${link} is not there`];
      if (anchor === "") return [];
      const there = target === path ? text : readText(target);
      return readPage(there).anchors.has(anchor) ? [] : [`${path}: ${link} has no such heading`];
    });
}

/** Pages that no chain of links leads to. */
export function findUnreachable(start: string, pages: readonly string[]): string[] {
  const seen = new Set<string>();
  const waiting = [start];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    for (const link of readPage(readText(path)).links) {
      const { target } = targetOf(path, link);
      if (isExternal(link) || !existsSync(join(ROOT, target))) continue;
      if (statSync(join(ROOT, target)).isDirectory()) {
        waiting.push(...pages.filter((page) => dirname(page) === target));
      } else if (target.endsWith(".md")) {
        waiting.push(target);
      }
    }
  }
  return pages.filter((page) => !seen.has(page));
}

function isExternal(link: string): boolean {
  return /^[a-z]+:/i.test(link);
}

function targetOf(page: string, link: string): { target: string; anchor: string } {
  const [file = "", anchor = ""] = link.split("#");
  const target = file === "" ? page : relative(ROOT, join(ROOT, dirname(page), file));
  return { target, anchor };
}
