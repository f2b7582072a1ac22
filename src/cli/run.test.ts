// Tests of the command line: what reaches the server, what is printed where, and the exit code of everything.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, describe, test } from 'node:test';
import { SettingError } from '../base/config.ts';
import { cli, done, refused } from './cli.testing.ts';
import type { ManagementAnswer } from './contract.ts';

const directory = mkdtempSync(join(tmpdir(), 'causeway-cli-'));
after(() => rmSync(directory, { recursive: true }));

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
    assert.equal(out, 'AccountName=photos;');
    assert.deepEqual(
      [first?.what, first?.rest, first?.config.data],
      ['account create', [{ account: 'photos' }], resolve('d')],
    );
  });
  test('connection-string shows the key that is told', async () => {
    const answers = [done({ connectionString: 'AccountName=photos;', warning: 'shared-key-access is off' })];
    const { out, err, first } = await cli('account connection-string photos --key 2', { answers });
    assert.deepEqual([out, err], ['AccountName=photos;', 'warning: shared-key-access is off']);
    assert.deepEqual([first?.what, first?.rest], ['account connection-string', [{ account: 'photos', key: '2' }]]);
  });
  test('list prints one name a line, of all pages', async () => {
    const answers = [
      done({ accounts: [{ name: 'ann' }, { name: 'bob' }], next: 'photos' }),
      done({ accounts: [{ name: 'photos' }] }),
    ];
    const { code, out, asked } = await cli('account list', { answers });
    assert.deepEqual([code, out], [0, 'ann\nbob\nphotos']);
    assert.deepEqual(
      asked.map(({ rest }) => rest),
      [[{}], [{ from: 'photos' }]],
    );
  });
  test('rotate-key replaces the key that is told', async () => {
    const answers = [done({ name: 'photos', which: 1, key: 'bmV3', connectionString: 'AccountKey=bmV3;' })];
    assert.deepEqual((await cli('account rotate-key photos', { answers })).first?.rest, [{ account: 'photos' }]);
    const second = await cli('account rotate-key photos --key 2', { answers });
    assert.deepEqual(second.first?.rest, [{ account: 'photos', key: '2' }]);
    assert.equal(second.out, 'AccountKey=bmV3;');
  });
  test('set sends every kind of setting as what it is', async () => {
    const { first } = await cli(
      'account set photos versioning=on public-access=off soft-delete-days=7 restore-days=none default-tier=Cool network-ranges=10.0.0.0/8,::1 encryption-scope=on',
      { answers: [done({ name: 'photos', settings: {} })] },
    );
    assert.deepEqual(first?.rest, [
      {
        account: 'photos',
        versioning: true,
        publicAccess: false,
        softDeleteDays: 7,
        restoreDays: null,
        defaultTier: 'Cool',
        networkRanges: ['10.0.0.0/8', '::1'],
        encryptionScope: 'on',
      },
    ]);
  });
  test('show prints what set would take', async () => {
    const settings = { versioning: true, softDeleteDays: 7, restoreDays: null, networkRanges: ['::1', '10.0.0.0/8'] };
    const answers = [done({ name: 'photos', settings })];
    assert.equal(
      (await cli('account show photos', { answers })).out,
      'name=photos\nversioning=on\nsoft-delete-days=7\nrestore-days=none\nnetwork-ranges=::1,10.0.0.0/8',
    );
    assert.deepEqual(JSON.parse((await cli('account show photos --json', { answers })).out), {
      name: 'photos',
      settings,
    });
  });
  const outcomes: [outcome: ManagementAnswer, code: number, err: RegExp][] = [
    [
      refused('AccountAlreadyExists', 'account photos exists already'),
      1,
      /^causeway: account photos exists already\nhint: 'causeway account connection-string photos' shows its key; .*$/,
    ],
    [refused('NoAnswer', 'the server on the data does not answer'), 1, /does not answer$/],
    [refused('InvalidInput', 'softDeleteDays: must be fewer'), 2, /^causeway: soft-delete-days: must be fewer$/],
  ];
  for (const [answer, code, err] of outcomes) {
    test(`tells of ${answer.kind === 'refused' ? answer.code : ''}`, async () => {
      const told = await cli('account create photos', { answers: [answer] });
      assert.equal(told.code, code);
      assert.match(told.err, err);
      assert.equal(told.out, '');
    });
  }
  test('list tells why it cannot', async () => {
    const { code, err } = await cli('account list', { answers: [refused('Busy', 'no data')] });
    assert.deepEqual([code, err], [1, 'causeway: no data']);
  });
  test('list says what to do next to who sits at a terminal, and to nobody else', async () => {
    const answers = [done({ accounts: [] })];
    assert.equal((await cli('account list', { answers })).err, '');
    assert.match((await cli('account list', { answers, isTerminal: true })).err, /^hint: there is no account yet: /);
    const some = [done({ accounts: [{ name: 'ann' }] })];
    assert.match((await cli('account list', { answers: some, isTerminal: true })).err, /connection-string NAME/);
    assert.equal((await cli('account list --json', { answers: some, isTerminal: true })).err, '');
  });
});

describe('container, sas, access and admin-token', () => {
  test('send what their words say', async () => {
    const cases: [line: string | string[], command: string, input: object][] = [
      [
        'container set photos box retention-days=30 retention-lock=on protected-appends=off',
        'container set',
        { account: 'photos', container: 'box', retentionDays: 30, retentionLock: true, protectedAppends: null },
      ],
      [
        'container legal-hold photos box --add one,two --clear old',
        'container legal-hold',
        { account: 'photos', container: 'box', add: ['one', 'two'], clear: ['old'] },
      ],
      [
        ['access', 'assign', 'photos', '--principal', '8a', '--role', 'Storage Blob Data Reader', '--container', 'box'],
        'access assign',
        { account: 'photos', principal: '8a', role: 'Storage Blob Data Reader', container: 'box' },
      ],
      [
        'container create photos box --public-access blob',
        'container create',
        { account: 'photos', container: 'box', publicAccess: 'blob' },
      ],
      ['container delete photos box', 'container delete', { account: 'photos', container: 'box' }],
      ['sas create photos --only url', 'sas create', { account: 'photos' }],
      [
        'sas create photos box a/b --permissions rw --expiry 7d --https-only --version-id 1',
        'sas create',
        {
          account: 'photos',
          container: 'box',
          blob: 'a/b',
          permissions: 'rw',
          expiry: '7d',
          httpsOnly: true,
          versionId: '1',
        },
      ],
      ['access unassign photos 07', 'access unassign', { account: 'photos', id: '07' }],
      ['admin-token create deploy --days 90', 'admin-token create', { name: 'deploy', days: 90 }],
    ];
    for (const [line, command, input] of cases) {
      const { code, first, err } = await cli(line, { answers: [done({ id: 'x', token: 't', settings: {} })] });
      assert.deepEqual([code, err], [0, '']);
      assert.deepEqual([first?.what, first?.rest], [command, [input]]);
    }
  });
  test('sas create prints the signature and the address, or the one that is wanted', async () => {
    const answers = [
      done({ token: 'sv=1&sig=x', url: 'http://h/photos?sv=1&sig=x', expires: '2026-01-01T00:00:00.000Z' }),
    ];
    const out = async (line: string) => (await cli(line, { answers })).out;
    assert.equal(
      await out('sas create photos'),
      'token=sv=1&sig=x\nurl=http://h/photos?sv=1&sig=x\nexpires=2026-01-01T00:00:00.000Z',
    );
    assert.equal(await out('sas create photos --only token'), 'sv=1&sig=x');
    assert.equal(await out('sas create photos --only url'), 'http://h/photos?sv=1&sig=x');
  });
  test('an assignment is a line of its own, whatever stands in it', async () => {
    const assignments = [
      { id: '1', principal: 'p', role: 'R' },
      { id: '2', principal: 'p', role: 'R', container: 'box', prefix: 'a\tb/', condition: '(\n  true)' },
    ];
    const { out } = await cli('access list photos', { answers: [done({ assignments })] });
    assert.equal(out, '1\tp\tR\t*\n2\tp\tR\tbox/a?b/*\t( true)');
  });
  test('a role comes out of a file', async () => {
    const file = join(directory, 'role.json');
    writeFileSync(file, '{"Name":"Auditor"}');
    const { first, out } = await cli(`access role create photos ${file}`, { answers: [done({ name: 'Auditor' })] });
    assert.deepEqual(
      [first?.what, first?.rest],
      ['access role create', [{ account: 'photos', definition: { Name: 'Auditor' } }]],
    );
    assert.equal(out, 'Auditor');
    writeFileSync(file, 'Name: Auditor');
    assert.match((await cli(`access role create photos ${file}`)).err, /not JSON/);
    assert.match((await cli(`access role create photos ${file}x`)).err, /cannot be read \(ENOENT\)/);
  });
});

test('fsck prints what it finds and exits as it found', async () => {
  const { code, out, first } = await cli('fsck --data d', { findings: ['damage: all'] });
  const sum = '12 entries, 34 bytes, 0 orphan extents (0 bytes), 1 damaged';
  assert.deepEqual([code, out, first?.config.data], [1, `damage: all\n${sum}`, resolve('d')]);
  assert.equal((await cli('fsck --data d')).code, 0);
});

test('audit verify prints what it finds and exits as it found', async () => {
  const { code, out } = await cli('audit verify --data d', { findings: ['gone'] });
  assert.deepEqual([code, out], [1, 'chain c, record 7: gone\n1 chains, 2 files, 3 records, 1 findings']);
  assert.equal((await cli('audit verify --data d')).code, 0);
});

describe('help', () => {
  test('lists every command, and every command has help of its own that names each of its flags', async () => {
    for (const line of ['--help', '-h', 'help']) {
      const { code, out, err } = await cli(line);
      assert.deepEqual([code, err], [0, '']);
      for (const name of ['serve', 'account', 'container', 'sas', 'access', 'admin-token', 'fsck', 'version', 'help'])
        assert.match(out, new RegExp(`^  ${name} `, 'm'));
    }
    for (const name of ['serve', 'account', 'container', 'sas', 'access', 'admin-token', 'fsck']) {
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
      'help container',
      'help sas',
      'help access',
      'help admin-token',
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
    ['account', /account needs one of: create, list, show/],
    ['account remove photos', /account knows only: create, list/],
    ['account create', /needs a NAME/],
    ['account create a b', /lower-case/],
    ['account create ann bob', /takes only NAME/],
    ['account create Photos', /lower-case/],
    ['account create ab', /3 to 24/],
    [['account', 'create', 'pho\ntos'], /lower-case/],
    ['account create photos --key 2', /--key is not for account create/],
    ['account rotate-key photos --key 3', /--key must be 1, 2/],
    ['account list photos', /no operands/],
    ['account set photos', /needs a setting: versioning, /],
    ['account set photos versioning', /NAME=VALUE/],
    ['account set photos versioning=true', /versioning must be on or off/],
    ['account set photos soft-delete-days=week', /soft-delete-days must be a whole number, or none/],
    ['account set photos default-tier=Ice', /default-tier must be Hot, Cool, Cold/],
    ['account set photos version=on', /no setting version; there are versioning, /],
    ['account set photos versioning=on versioning=off', /versioning is set twice/],
    ['account set photos __proto__=on', /no setting __proto__/],
    ['access assign photos --principal x', /needs --role ROLE/],
    ['access role', /access knows only/],
    ['access list photos --role x', /--role is not for access list/],
    ['container show photos', /needs a CONTAINER/],
    ['admin-token create deploy --days soon', /--days must be a whole number/],
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
      'account set photos c2VjcmV0',
      'account set photos versioning=c2VjcmV0',
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
  test('says a failure of its own as JSON too', () => {
    const { status, stdout, stderr } = main('account', 'list', '--data', '/dev/null/none', '--json');
    assert.ok(status === 1 || status === 2);
    assert.equal(stdout, '');
    assert.equal(typeof (JSON.parse(stderr) as { error: { message: string } }).error.message, 'string');
  });
  test('exits with the code of the command', () => {
    const { status, stdout, stderr } = main('serve', '--workers', '0');
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, /^causeway: workers: [^\n]*\n$/);
  });
});
