// `--json`: one object of everything that a command says, and of everything that it has against its words.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SettingError } from '../base/config.ts';
import { cli, done, refused } from './cli.testing.ts';

describe('--json', () => {
  const lines: readonly string[] = [
    'serve',
    'account create photos',
    'account list',
    'account show photos',
    'account connection-string photos',
    'container list photos',
    'sas create photos',
    'sas create photos --only url',
    'access list photos',
    'scope list photos',
    'admin-token list',
    'audit verify',
    'fsck',
    'version',
    'help',
    'help settings',
    'help fsck',
    'account --help',
  ];
  const page = { accounts: [], containers: [], assignments: [], scopes: [], tokens: [], settings: {} };
  test('makes one object of what any command says', async () => {
    for (const line of lines) {
      const { code, out, err } = await cli(`${line} --json`, { answers: [done(page)], isTerminal: true });
      assert.deepEqual([code, err], [0, ''], line);
      assert.equal(typeof JSON.parse(out), 'object', line);
    }
    const first = await cli('--json account list', { answers: [done(page)] });
    assert.deepEqual(JSON.parse(first.out), { accounts: [] });
  });
  test('makes one object of what any command has against it', async () => {
    const hint = "'causeway account list' shows what accounts there are; 'account create' makes one";
    const gone = await cli('account show photos --json', { answers: [refused('AccountNotFound', 'no')] });
    assert.deepEqual([gone.code, gone.out], [1, '']);
    assert.deepEqual(JSON.parse(gone.err), { error: { code: 'AccountNotFound', message: 'no', hint } });
    for (const line of [
      '',
      'sevre',
      'serve --colour',
      'serve --workers 0',
      'account',
      'audit',
      'help nothing',
      'fsck x',
    ]) {
      const { code, out, err } = await cli(`${line} --json`);
      assert.deepEqual([code, out], [2, ''], line);
      assert.equal((JSON.parse(err) as { error: { code: string } }).error.code, 'InvalidInput', line);
    }
    const setting = await cli('serve --json', { error: new SettingError('blobPort', 'port 10000 is in use') });
    assert.deepEqual(JSON.parse(setting.err), {
      error: { code: 'InvalidInput', message: 'blobPort: port 10000 is in use' },
    });
  });
  test('holds what fsck and audit verify find', async () => {
    const findings = ['one', 'two'];
    const checked = await cli('fsck --json', { findings });
    assert.equal(checked.code, 1);
    assert.deepEqual(JSON.parse(checked.out), {
      entries: 12,
      bytes: 34,
      orphans: { extents: 0, bytes: 0 },
      damage: 2,
      findings,
    });
    const verified = await cli('audit verify --json', { findings });
    assert.equal(verified.code, 1);
    assert.equal((JSON.parse(verified.out) as { findings: object[] }).findings.length, 2);
    const many = await cli('fsck --json', { findings: new Array<string>(10_001).fill('x') });
    const told = JSON.parse(many.out) as { findings: object[]; findingsLeftOut: number };
    assert.deepEqual([told.findings.length, told.findingsLeftOut], [10_000, 1]);
  });
  test('is no option where it stands behind the end of the options', async () => {
    assert.match((await cli('account show -- --json')).err, /^causeway: the name of an account/);
  });
});
