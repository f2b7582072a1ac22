// Tests of the command line: what reaches the server, what is printed where, and the exit code of everything.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, describe, test } from 'node:test';
import { type Config, SettingError } from '../base/config.ts';
import { connectionString } from './account.ts';
import type { AccountListOutcome, AccountOutcome, Server } from './contract.ts';
import { run } from './run.ts';

const directory = mkdtempSync(join(tmpdir(), 'causeway-cli-'));
after(() => rmSync(directory, { recursive: true }));

interface Answers {
  account?: AccountOutcome;
  accounts?: AccountListOutcome;
  code?: number;
  error?: Error;
}

/** Runs a command line against a server that answers as told, and notes what it was asked. */
async function cli(line: string | readonly string[], answers: Answers = {}) {
  const asked: { what: string; config: Config; rest: unknown[] }[] = [];
  const note = (what: string, config: Config, ...rest: unknown[]) => {
    asked.push({ what, config, rest });
    if (answers.error !== undefined) throw answers.error;
  };
  const account = answers.account ?? { kind: 'account', name: 'photos', key: 'a2V5' };
  const server: Server = {
    serve: async (config) => {
      note('serve', config);
      return answers.code ?? 0;
    },
    createAccount: async (config, name) => {
      note('createAccount', config, name);
      return account;
    },
    listAccounts: async (config) => {
      note('listAccounts', config);
      return answers.accounts ?? { kind: 'accounts', names: ['ann', 'photos'] };
    },
    rotateKey: async (config, name, which) => {
      note('rotateKey', config, name, which);
      return account;
    },
    fsck: async (config, { out }) => {
      note('fsck', config);
      out('12 names, 34 extents, no damage');
      return answers.code ?? 0;
    },
  };
  const out: string[] = [];
  const err: string[] = [];
  const words = typeof line === 'string' ? line.split(' ').filter(Boolean) : line;
  const code = await run(words, {
    out: (text) => out.push(text),
    err: (text) => err.push(text),
    server: async () => server,
  });
  return { code, out: out.join('\n'), err: err.join('\n'), asked, first: asked[0] };
}

describe('serve', () => {
  test('takes its settings from every flag of its own', async () => {
    const { code, first } = await cli(
      'serve --data d --host 127.0.0.2 --blob-port 0 --admin-port=81 --workers 3 --dev --set logLevel=warn --set segmentBytes=1048576',
      { code: 7 },
    );
    assert.equal(code, 7);
    assert.equal(first?.what, 'serve');
    const { data, host, blobPort, adminPort, workers, dev, logLevel, segmentBytes } = first?.config ?? {};
    assert.deepEqual(
      [data, host, blobPort, adminPort, workers, dev, logLevel, segmentBytes],
      [resolve('d'), '127.0.0.2', 0, 81, 3, true, 'warn', 1_048_576],
    );
  });
  test('reads a config file, and flags go before it', async () => {
    const file = join(directory, 'config.yaml');
    writeFileSync(file, 'workers: 5\nadminPort: 90\n');
    const { first } = await cli(`serve --config ${file} --admin-port 91`);
    assert.deepEqual([first?.config.workers, first?.config.adminPort], [5, 91]);
  });
  test('tells in one line of a setting that only starting could check', async () => {
    const { code, err } = await cli('serve', { error: new SettingError('blobPort', 'port 10000 is in use') });
    assert.deepEqual([code, err], [2, 'causeway: blobPort: port 10000 is in use']);
  });
  test('passes on a failure of the program', async () => {
    await assert.rejects(cli('serve', { error: new Error('broken') }), /broken/);
  });
});

describe('account', () => {
  test('create prints the connection string, and nothing else', async () => {
    const { code, out, err, first } = await cli('account create photos --data d');
    assert.deepEqual([code, err], [0, '']);
    assert.equal(
      out,
      'DefaultEndpointsProtocol=http;AccountName=photos;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:10000/photos;',
    );
    assert.deepEqual([first?.what, first?.rest, first?.config.data], ['createAccount', ['photos'], resolve('d')]);
  });
  test('prefers the address of the server that runs', async () => {
    const account = {
      kind: 'account',
      name: 'photos',
      key: 'a2V5',
      blobEndpoint: 'http://127.0.0.1:41234/photos',
    } as const;
    assert.match(
      (await cli('account create photos', { account })).out,
      /;BlobEndpoint=http:\/\/127\.0\.0\.1:41234\/photos;$/,
    );
  });
  test('list prints one name a line', async () => {
    const { code, out } = await cli('account list');
    assert.deepEqual([code, out], [0, 'ann\nphotos']);
  });
  test('rotate-key replaces the first key unless told', async () => {
    assert.deepEqual((await cli('account rotate-key photos')).first?.rest, ['photos', 1]);
    assert.deepEqual((await cli('account rotate-key photos --key 2')).first?.rest, ['photos', 2]);
    assert.match((await cli('account rotate-key photos')).out, /AccountKey=a2V5;/);
  });
  const outcomes: [outcome: AccountOutcome, code: number, err: RegExp][] = [
    [{ kind: 'account-exists' }, 1, /^causeway: account photos exists already$/],
    [{ kind: 'account-not-found' }, 1, /^causeway: there is no account photos$/],
    [{ kind: 'account-name-invalid' }, 2, /3 to 24 lower-case/],
    [{ kind: 'refused', message: 'data: in use by another version' }, 1, /^causeway: data: in use by another version$/],
  ];
  for (const [account, code, err] of outcomes) {
    test(`tells of ${account.kind}`, async () => {
      const told = await cli('account create photos', { account });
      assert.equal(told.code, code);
      assert.match(told.err, err);
      assert.equal(told.out, '');
    });
  }
  test('list tells why it cannot', async () => {
    const { code, err } = await cli('account list', { accounts: { kind: 'refused', message: 'no data' } });
    assert.deepEqual([code, err], [1, 'causeway: no data']);
  });
  test('gives an address that a client can connect to', () => {
    const endpoint = (host: string) =>
      /BlobEndpoint=(.*);$/.exec(connectionString({ name: 'ann', key: 'k' }, { host, blobPort: 80 } as Config))?.[1];
    assert.equal(endpoint('0.0.0.0'), 'http://127.0.0.1:80/ann');
    assert.equal(endpoint('::'), 'http://[::1]:80/ann');
    assert.equal(endpoint('fd00::1'), 'http://[fd00::1]:80/ann');
    assert.equal(endpoint('blobs.example'), 'http://blobs.example:80/ann');
  });
});

test('fsck prints what it finds and exits as it found', async () => {
  const { code, out, first } = await cli('fsck --data d', { code: 1 });
  assert.deepEqual([code, out, first?.config.data], [1, '12 names, 34 extents, no damage', resolve('d')]);
});

describe('help', () => {
  test('lists every command, and every command has help of its own that names each of its flags', async () => {
    for (const line of ['--help', '-h', 'help']) {
      const { code, out, err } = await cli(line);
      assert.deepEqual([code, err], [0, '']);
      for (const name of ['serve', 'account', 'fsck', 'version', 'help'])
        assert.match(out, new RegExp(`^  ${name} `, 'm'));
    }
    for (const name of ['serve', 'account', 'fsck']) {
      const { code, out, asked } = await cli(`${name} --help`);
      assert.deepEqual([code, asked], [0, []]);
      assert.equal((await cli(`help ${name}`)).out, out);
      for (const flag of ['config', 'data', 'host', 'blob-port', 'admin-port', 'workers', 'dev', 'set', 'help']) {
        assert.match(out, new RegExp(`^  --${flag} `, 'm'), `${name} ${flag}`);
      }
    }
  });
  test('lists every setting with its default', async () => {
    const { out } = await cli('help settings');
    assert.match(out, /^ {2}stallTimeoutMs {2,}\S.*\(120000\)$/m);
    assert.match(out, /^ {2}data {2,}\S.*\(\.\/\.causeway\)$/m);
  });
  test('fits a terminal', async () => {
    for (const line of [
      'help',
      'help serve',
      'help account',
      'help fsck',
      'help help',
      'help version',
      'help settings',
    ]) {
      for (const row of (await cli(line)).out.split('\n')) assert.ok(row.length <= 120, row);
    }
  });
  test('is shown for no command at all, on stderr and as a mistake', async () => {
    const { code, out, err } = await cli('');
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, /Usage: causeway COMMAND/);
  });
});

describe('a mistake is told in one line, with exit code 2, and nothing is done:', () => {
  const cases: [line: string | readonly string[], err: RegExp][] = [
    ['sevre', /^causeway: unknown command sevre; try 'causeway help'$/],
    ['--dev', /unknown option --dev/],
    ['serve --blobport 1', /unknown option --blobport/],
    ['serve -x', /unknown option -x/],
    ['serve now', /no operands/],
    ['serve --data', /--data needs a value/],
    ['serve --data --dev', /--data needs a value/],
    ['serve --dev=false', /--dev takes no value/],
    ['serve --workers many', /^causeway: workers: must be a whole number from 1 to 256 \(in --workers\)$/],
    ['serve --dev --host 0.0.0.0', /^causeway: host: /],
    ['serve --set colour=blue', /^causeway: colour: unknown setting/],
    ['serve --config /nonexistent/causeway.yaml', /^causeway: config: the file cannot be read \(ENOENT\)/],
    ['serve --constructor', /unknown option --constructor/],
    ['account', /needs create, list or rotate-key/],
    ['account delete photos', /knows create, list and rotate-key only/],
    ['account create', /needs a NAME/],
    ['account create a b', /takes one NAME/],
    ['account create Photos', /lower-case/],
    ['account create ab', /3 to 24/],
    [['account', 'create', 'pho\ntos'], /lower-case/],
    ['account create photos --key 2', /for rotate-key only/],
    ['account rotate-key photos --key 3', /must be 1 or 2/],
    ['account list photos', /no operands/],
    ['fsck data', /--data DIR/],
    ['fsck --data d --workers 0', /workers/],
    ['help nothing', /no such command/],
    ['version 2', /no operands/],
    ['toString', /unknown command toString/],
  ];
  for (const [line, err] of cases) {
    test(JSON.stringify(line), async () => {
      const told = await cli(line);
      assert.deepEqual([told.code, told.out, told.asked], [2, '', []]);
      assert.match(told.err, err);
      assert.doesNotMatch(told.err, /\n/);
    });
  }
  test('without repeating a value', async () => {
    for (const line of [
      '--key=c2VjcmV0',
      'account --secret=c2VjcmV0',
      'account rotate-key photos --key c2VjcmV0',
      'serve --set key=c2VjcmV0',
    ]) {
      assert.doesNotMatch((await cli(line)).err, /c2VjcmV0/);
    }
  });
});

describe('the program', () => {
  const main = (...words: string[]) =>
    spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...words], {
      encoding: 'utf8',
      timeout: 30_000,
    });
  test('shows its version, the one of package.json', () => {
    const { status, stdout, stderr } = main('--version');
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, /^causeway \d+\.\d+\.\d+ \(Node 26\.\d+\.\d+\)\n$/);
  });
  test('exits with the code of the command', () => {
    const { status, stdout, stderr } = main('serve', '--workers', '0');
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, /^causeway: workers: [^\n]*\n$/);
  });
});
