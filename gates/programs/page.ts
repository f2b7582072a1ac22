// Reads a page of docs/recipes: the lines it tells a reader to install with, to run, and to see printed.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const pagesDir = join(import.meta.dirname, '..', '..', 'docs', 'recipes');

/** What stands on the pages, and by what it is replaced when they are run. */
export interface Addresses {
  /** Where `npm start` serves: `127.0.0.1:10000`. */
  readonly server: string;
  /** The port of the same under host names: `...causeway.example:10000`. */
  readonly port: string;
  /** Where a program of the page listens itself: `127.0.0.1:5000`. */
  readonly listener: string;
}

/** Under which pages have accounts, `ACCOUNT.blob.causeway.example`. */
export const hostSuffix = 'causeway.example';

export interface Page {
  readonly text: string;
  /** Of a `pip install` line: `name==version`. */
  readonly requirements: readonly string[];
  /** Of `go install` lines: `module/path@version`. */
  readonly goPrograms: readonly string[];
  /** One shell script of all that the page tells to run, in its order, and the files that it needs beside it. */
  script(addresses: Addresses): { readonly shell: string; readonly files: Readonly<Record<string, string>> };
  /** What the page says that it prints, in its order. */
  readonly prints: readonly string[];
}

/** `sh` and `python` blocks are run, `text` blocks are what they print; any other block is only shown. */
export function readPage(name: string): Page {
  const text = readFileSync(join(pagesDir, `${name}.md`), 'utf8');
  const blocks = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, body]) => ({
    language: language ?? '',
    body: body ?? '',
  }));
  const installs = (command: string): string[] =>
    [...text.matchAll(new RegExp(`${command} ([^\`]+)\``, 'g'))].flatMap(([, words]) => (words ?? '').split(/\s+/));
  return {
    text,
    requirements: installs('pip install').map((word) => word.replaceAll(/['"]/g, '')),
    goPrograms: installs('go install'),
    prints: blocks.filter((block) => block.language === 'text').map((block) => block.body),
    script(addresses) {
      const files: Record<string, string> = {};
      const lines: string[] = [];
      for (const { language, body } of blocks) {
        const own = body
          .replaceAll('127.0.0.1:10000', addresses.server)
          .replaceAll(`${hostSuffix}:10000`, `${hostSuffix}:${addresses.port}`)
          .replaceAll('127.0.0.1:5000', addresses.listener);
        if (language === 'sh') lines.push(own);
        if (language !== 'python') continue;
        const file = `block-${Object.keys(files).length + 1}.py`;
        files[file] = own;
        lines.push(`python ${file}\n`);
      }
      return { shell: lines.join(''), files };
    },
  };
}
