// The primary is killed under appends: what was acknowledged is there once, and what was answered as not done is not there.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerTo, Server, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const clients = 8;
const rounds = 3;

test('appends that meet the end of the primary are never answered as "not done" when they were', async () => {
  const data = join(work, 'data');
  let server = await Server.start({ data, workers: 2 });
  assert.equal((await server.createContainer('box')).status, 201);
  assert.equal((await server.put('/box/log', Buffer.alloc(0), { 'x-ms-blob-type': 'AppendBlob' })).status, 201);
  const acknowledged = new Set<string>();
  const refused = new Set<string>();
  const unknown = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    const current = server;
    let going = true;
    const append = async (client: number): Promise<void> => {
      for (let index = 0; going; index++) {
        const line = `${round}-${client}-${index}\n`;
        const call = { method: 'PUT', path: '/box/log', query: 'comp=appendblock' };
        try {
          const { status } = await answerTo(current.begin(call, line.length), Buffer.from(line), 5000);
          if (status === 201) acknowledged.add(line);
          else if (status === 500) unknown.add(line);
          else refused.add(line);
        } catch {
          unknown.add(line);
          return;
        }
      }
    };
    const all = Array.from({ length: clients }, (_, client) => append(client));
    await sleep(1500);
    current.program.child.kill('SIGKILL');
    await sleep(300);
    going = false;
    await Promise.all(all);
    current.program.kill();
    await current.program.ended();
    server = await Server.start({ data, workers: 2 });
  }
  try {
    const { status, body } = await server.call({ path: '/box/log' });
    assert.equal(status, 200);
    const found = body.toString().split(/(?<=\n)/);
    assert.ok(acknowledged.size > 10, `${acknowledged.size} acknowledged`);
    assert.equal(new Set(found).size, found.length, 'nothing is there twice');
    for (const line of acknowledged) assert.ok(found.includes(line), `acknowledged: ${line}`);
    for (const line of found) assert.ok(!refused.has(line), `refused, and done: ${line}`);
    for (const line of found) assert.ok(acknowledged.has(line) || unknown.has(line), line);
  } finally {
    assert.equal(await server.stop(), 0);
  }
});
