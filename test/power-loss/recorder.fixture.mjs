// Changes files in every way that Node offers: the recorder's test compares them with their record.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const root = process.argv[2];
const path = (name) => join(root, name);

if (process.argv[3] === 'child') {
  // A second process on the same database: a reader that also appends to a file of its own.
  const database = new DatabaseSync(path('meta.db'));
  const rows = database.prepare('select count(*) as n from t').get();
  database.exec('insert into t values (1000, zeroblob(100))');
  fs.appendFileSync(path('child.log'), `rows ${rows.n}\n`);
  fs.appendFileSync(path('child.log'), 'again\n');
  process.exit(0);
}

const database = new DatabaseSync(path('meta.db'));
database.exec('pragma journal_mode = wal; pragma synchronous = full; create table t (a, b)');
const insert = database.prepare('insert into t values (?, ?)');
for (let row = 0; row < 60; row++) insert.run(row, Buffer.alloc(row * 17, row));
const child = fork(process.argv[1], [root, 'child']);
await once(child, 'exit');
database.exec('delete from t where a < 20; vacuum; pragma wal_checkpoint(truncate)');
insert.run(1, 'after the checkpoint');

// Direct and buffered segments, several writes in flight, a cut tail.
const memory = new Uint8Array(new WebAssembly.Memory({ initial: 32 }).buffer);
memory.forEach((_, index) => {
  memory[index] = (index * 31) >> 3;
});
for (const flags of [fs.constants.O_DIRECT, 0]) {
  let handle;
  try {
    handle = await fsp.open(path(`segment-${flags}`), fs.constants.O_CREAT | fs.constants.O_RDWR | flags);
    await handle.write(memory, 0, 4096, 0);
  } catch (error) {
    if (error.code !== 'EINVAL') throw error;
    await handle?.close();
    continue;
  }
  await Promise.all(
    Array.from({ length: 16 }, (_, index) => handle.write(memory, index * 65536, 65536, 4096 + index * 65536)),
  );
  await handle.writev([memory.subarray(0, 8192), memory.subarray(65536, 65536 + 4096)], 4096 + 16 * 65536);
  await handle.datasync();
  await handle.truncate(600_000);
  await handle.sync();
  await handle.close();
}

// Names.
fs.mkdirSync(path('a/b/c'), { recursive: true });
fs.writeFileSync(path('a/b/c/file'), 'one');
fs.writeFileSync(path('a/b/c/file'), 'two, shorter and longer');
fs.renameSync(path('a/b/c/file'), path('a/moved'));
fs.linkSync(path('a/moved'), path('a/linked'));
fs.renameSync(path('a/b'), path('renamed-directory'));
fs.writeFileSync(path('renamed-directory/c/later'), 'x'.repeat(10_000));
fs.writeFileSync(path('gone'), 'gone');
fs.rmSync(path('gone'));
fs.mkdirSync(path('tree/below'), { recursive: true });
fs.writeFileSync(path('tree/below/file'), 'y');
fs.rmSync(path('tree'), { recursive: true });
fs.writeFileSync(path('reused'), 'new inode, old number perhaps');
const temporary = fs.mkdtempSync(path('temporary-'));
fs.writeFileSync(join(temporary, 'in'), 'it');

// Positions that only the kernel knows.
const appending = fs.openSync(path('appended'), 'a');
fs.writeSync(appending, 'first ');
fs.writevSync(appending, [Buffer.from('second '), Buffer.from('third')]);
fs.closeSync(appending);
const stream = fs.createWriteStream(path('stream'));
for (let part = 0; part < 50; part++) stream.write(`part ${part} `);
stream.end();
await once(stream, 'close');
process.chdir(root);
await fsp.writeFile('relative', 'r'.repeat(200_000));
await fsp.truncate('relative', 12_345);
fs.truncateSync('relative', 12_000);
const directory = await fsp.open('a', 'r');
await directory.sync();
await directory.close();
database.close();
const reopened = new DatabaseSync(path('meta.db'));
reopened.exec("insert into t values (5, 'left in the wal')");
process.kill(process.pid, 'SIGKILL');
