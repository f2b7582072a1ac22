// The support table as a document, made from the table of operations and from what is known to be documented.
import { signingDifferences } from '../../src/identity/version-differences.ts';
import type { Operation } from '../../src/surfaces/blob/operations.ts';
import {
  type Added,
  addedElements,
  addedHeaders,
  differences,
  longest,
} from '../../src/surfaces/blob/version-differences.ts';
import { anonymousVersion, versions } from '../../src/surfaces/blob/versions.ts';
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
    ...versionLines(),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

/** What the tables of the code say of versions. */
function versionLines(): string[] {
  const rows = [...Object.values(signingDifferences), ...Object.values(differences)];
  const byVersion = (one: { since: string }, other: { since: string }): number => (one.since < other.since ? -1 : 1);
  const names = (added: readonly Added[]): string[] =>
    added.map(
      ({ since, names, of }) => `| ${since} | ${of === undefined ? '' : `${of.join(', ')}: `}${quoted(names)} |`,
    );
  const sizes = Object.entries(longest).map(([of, limits]) => {
    const each = limits.map(
      ([since, most], index) => `${most} MiB${index < limits.length - 1 ? ` from ${since} on` : ' before'}`,
    );
    return `| ${of === 'blob' ? 'Put Blob' : of === 'block' ? 'Put Block' : 'Append Block'} | ${each.join(', ')} |`;
  });
  return [
    '## Versions',
    '',
    `Served: ${versions.map((one) => `\`${one}\``).join(', ')}. A newer one is served as the newest (\`strictVersions\` refuses it).`,
    'A SAS is one of the version in its `sv`, from 2012-02-12 on, or has none. A request that names no version is served as',
    'its SAS or `api-version` says, then as the account’s `DefaultServiceVersion`, then as the newest if it is signed and as',
    `${anonymousVersion} if it is not.`,
    '',
    'What an older version could not have means what it means today: a parameter, a header or an element of a body that a',
    'later version added is taken under every version. What an older version does otherwise:',
    '',
    '| Before | | Source |',
    '|---|---|---|',
    ...rows.toSorted(byVersion).map(({ since, before, source }) => `| ${since} | ${before} | ${source} |`),
    '',
    '| | Longest body |',
    '|---|---|',
    ...sizes,
    '',
    'Headers of answers, by the version that added them; older ones are answered without:',
    '',
    '| From | |',
    '|---|---|',
    ...names(addedHeaders),
    '',
    'And elements of List Containers, List Blobs and Get Blob Service Properties:',
    '',
    '| From | |',
    '|---|---|',
    ...names(addedElements),
    '',
  ];
}

const quoted = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');
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
