// What the tests of lost parts share: what is put and looked for, and how a refusal reads.
import assert from 'node:assert/strict';
import { run } from '../../src/cli/run.ts';
import { causeway, type Ended, type Server } from './program.ts';

export const free = ['--blob-port', '0', '--admin-port', '0', '--workers', '1'] as const;
export const blobBytes = 20_000;

export const content = (index: number): Buffer => Buffer.alloc(blobBytes, `blob ${index} `);
export const serve = (data: string, ...more: string[]): Promise<Ended> =>
  causeway('serve', '--dev', '--data', data, ...free, ...more);

/** What `causeway` says of what it refuses before it opens anything. */
export async function here(...words: string[]): Promise<Ended> {
  const said = { out: '', err: '' };
  const code = await run(words, {
    out: (line) => {
      said.out += `${line}\n`;
    },
    err: (line) => {
      said.err += `${line}\n`;
    },
    server: () => import('../../src/server.ts'),
  });
  return { code, ...said };
}

export function assertRefusal({ code, out, err }: Ended, what: RegExp): void {
  assert.equal(code, 2, out + err);
  assert.equal(out, '');
  assert.match(err, /^causeway: data: [^\n]+\n$/, 'one line');
  assert.match(err, what);
}

export async function putAll(server: Server, from: number, to: number): Promise<void> {
  for (let index = from; index < to; index++)
    assert.equal((await server.put(`/box/${index}`, content(index))).status, 201);
}

export async function assertAll(server: Server, to: number): Promise<void> {
  for (let index = 0; index < to; index++) {
    const found = await server.call({ path: `/box/${index}` });
    assert.ok(found.status === 200 && found.body.equals(content(index)), `blob ${index}: ${found.status}`);
  }
}
