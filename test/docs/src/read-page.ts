import GithubSlugger from "github-slugger";
import { lexer, walkTokens, type Token, type Tokens } from "marked";

/** A table of a page. Its cells hold their Markdown. */
export interface Table {
  /** The heading it stands under. */
  readonly heading: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

/** A row's cells by the names of their columns; the empty text where a row is short. */
export type Row = (column: string) => string;

export interface CodeBlock {
  readonly language: string;
  readonly text: string;
}

/** What the tests look at in a Markdown page. */
export interface Page {
  readonly text: string;
  readonly tables: readonly Table[];
  readonly blocks: readonly CodeBlock[];
  /** What it names as code in running text and tables. */
  readonly words: readonly string[];
  /** Targets of links and images, as written. */
  readonly links: readonly string[];
  /** What can stand after a `#`, as GitHub makes it. */
  readonly anchors: ReadonlySet<string>;
}

export function readPage(text: string): Page {
  const slugger = new GithubSlugger();
  const tables: Table[] = [];
  const blocks: CodeBlock[] = [];
  const words: string[] = [];
  const links: string[] = [];
  const anchors = new Set<string>();
  let heading = "";
  const see = (token: Token): void => {
    switch (token.type) {
      case "heading":
        heading = (token as Tokens.Heading).text;
        anchors.add(slugger.slug(heading));
        break;
      case "table":
        tables.push(toTable(heading, token as Tokens.Table));
        break;
      case "code": {
        const { lang, text: code } = token as Tokens.Code;
        blocks.push({ language: lang ?? "", text: code });
        break;
      }
      case "codespan":
        words.push((token as Tokens.Codespan).text);
        break;
      case "link":
      case "image":
        links.push((token as Tokens.Link | Tokens.Image).href);
        break;
    }
  };
  // The callback is given each token before its children.
  void walkTokens(lexer(text), see);
  return { text, tables, blocks, words, links, anchors };
}

function toTable(heading: string, { header, rows }: Tokens.Table): Table {
  const columns = header.map((cell) => cell.text);
  return {
    heading,
    columns,
    rows: rows.map((cells) => (column) => {
      const at = columns.indexOf(column);
      if (at < 0) throw new Error(`the table under “${heading}” has no column “${column}”`);
      return cells[at]?.text ?? "";
    }),
  };
}

/** The table under a heading. */
export function tableUnder(page: Page, heading: string): Table {
  const found = page.tables.find((table) => table.heading === heading);
  if (found === undefined) throw new Error(`no table stands under “${heading}”`);
  return found;
}

/** What a cell names as code. */
export function codesIn(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
}

/** A column's codes, each cell's in order. */
export function codesOf(table: Table, column: string): readonly string[] {
  return table.rows.flatMap((row) => codesIn(row(column)));
}
