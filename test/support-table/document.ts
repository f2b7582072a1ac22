// The support table as a document, made from the table of operations and from what is known to be documented.
import type { Operation } from '../../src/surfaces/blob/operations.ts';
import { count, documented, type Item, itemsOf, type Kind, statusOf, statusOfOperation } from './documented.ts';
import { common, type Documented, namesOf, version } from './words.ts';

const reference = 'https://learn.microsoft.com/rest/api/storageservices';
const headings = { query: 'Parameters', request: 'Request headers', response: 'Answer headers' } as const;
const levels = { service: 'the service', container: 'a container', blob: 'a blob' } as const;

export function writeDocument(operations: readonly Operation[]): string {
  const total = count(documented.map(statusOfOperation));
  const items = count([...documented, common].flatMap(itemsOf).map(statusOf));
  const lines = [
    '# The Blob API: what is served',
    '',
    `Every operation of the Blob service's REST API, version ${version}, with its parameters and headers, each of them done,`,
    'partial (what is missing stands beside it) or not. The lists are those of the REST reference and of the',
    'specification that the SDKs are made from.',
    '',
    'This page is written by `bin/node test/support-table/run.ts` from `src/surfaces/blob/operations.ts` and the lists in',
    '`test/support-table/`. A test plays every operation against the server’s own handlers, and fails where this page',
    'calls a header done that the operation does not read or send, and where it calls one missing that it does.',
    '',
    '|  | done | partial | not |',
    '|---|---|---|---|',
    `| operations | ${total.done} | ${total.partial} | ${total.not} |`,
    `| parameters and headers, counted for each operation | ${items.done} | ${items.partial} | ${items.not} |`,
    '',
    'A `not` is **ignored** (the answer is as if it had not been sent), **refused** (with an error that names it), or, of',
    'answers, **never sent**.',
    '',
    '## Operations',
    '',
    '| Operation | Status | What is missing |',
    '|---|---|---|',
    ...documented.map((one) => `| ${link(one)} | ${statusOfOperation(one)} | ${missing(one)} |`),
    '',
    '## Every operation',
    '',
    'Not repeated below:',
    '',
    ...itemLines(itemsOf(common)),
    '',
    ...documented.flatMap((one) => section(one, operations)),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

const anchor = (title: string): string => title.toLowerCase().replaceAll(' ', '-');
const link = ({ title }: Documented): string => `[${title}](#${anchor(title)})`;

/** In short: what the operation lacks itself, and the names of what is marked. */
function missing(operation: Documented): string {
  if (operation.instead !== undefined) return `answers \`${operation.instead.code}\`: ${operation.instead.why}`;
  const marked = itemsOf(operation).filter(({ mark }) => mark !== undefined);
  const names = [...new Set(marked.map(({ name }) => `\`${name}\``))].join(', ');
  return [operation.missing, names].filter(Boolean).join('; ');
}

function section(operation: Documented, operations: readonly Operation[]): string[] {
  const rows = operations.filter(({ name }) => operation.rows.includes(name));
  const items = itemsOf(operation);
  const page = operation.page === undefined ? '' : `, [reference](${reference}/${operation.page})`;
  const lines = [`## ${operation.title}`, '', `**${statusOfOperation(operation)}**${page}`, ''];
  if (rows.length > 0) {
    const shown = rows.map(
      ({ level, method, restype, comp }) => `\`${method} ${addressOf(restype, comp)}\` on ${levels[level]}`,
    );
    lines.push(`${[...new Set(shown)].join(', ')}`, '');
  }
  if (operation.missing !== undefined) lines.push(`Missing: ${operation.missing}.`, '');
  if (operation.instead !== undefined) {
    lines.push(`Answers \`${operation.instead.code}\`: ${operation.instead.why}.`, '');
  }
  if (items.length > 0) lines.push(...itemLines(items), '');
  return lines;
}

function addressOf(restype: string | undefined, comp: string | undefined): string {
  const query = [restype && `restype=${restype}`, comp && `comp=${comp}`].filter(Boolean).join('&');
  return query === '' ? '/' : `?${query}`;
}

function itemLines(items: readonly Item[]): string[] {
  return (Object.keys(headings) as Kind[]).flatMap((kind) => {
    const of = items.filter((item) => item.kind === kind);
    if (of.length === 0) return [];
    const done = of.filter(({ mark }) => mark === undefined).map(({ name }) => `\`${name}\``);
    const marked = of.flatMap(({ name, mark }) => {
      if (mark === undefined) return [];
      return [`  - \`${name}\`: ${mark.status === 'partial' ? 'partial' : `not, ${mark.how}`}: ${mark.why}`];
    });
    return [`- ${headings[kind]}${done.length === 0 ? '' : `, done: ${done.join(', ')}`}`, ...marked];
  });
}

export const titlesOf = (name: string): string[] =>
  documented.filter(({ rows }) => rows.includes(name)).map(({ title }) => title);

export const unknownMarks = ({ marks, ...operation }: Documented): string[] =>
  Object.entries(marks ?? {}).flatMap(([kind, of]) => {
    const names = namesOf(operation[kind as Kind]);
    return Object.keys(of ?? {}).filter((name) => !names.includes(name));
  });
