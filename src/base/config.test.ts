// Tests of the settings: defaults, precedence, and one clear line for everything that is wrong.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { type Config, type ConfigArgs, describeSettings, loadConfig } from './config.ts';

const directory = mkdtempSync(join(tmpdir(), 'causeway-config-'));
after(() => rmSync(directory, { recursive: true }));

let files = 0;
function yaml(text: string): string {
  const path = join(directory, `config-${files++}.yaml`);
  writeFileSync(path, text);
  return path;
}

function load(args: ConfigArgs = {}): Config {
  const outcome = loadConfig(args);
  assert.equal(outcome.kind, 'config', outcome.kind === 'invalid' ? outcome.message : '');
  return (outcome as { config: Config }).config;
}

function refused(args: ConfigArgs): { setting: string; message: string } {
  const outcome = loadConfig(args);
  assert.ok(outcome.kind === 'invalid', 'expected a refusal');
  assert.doesNotMatch(outcome.message, /\n/);
  return outcome;
}

describe('values', () => {
  test('defaults stand without any file or flag', () => {
    const config = load();
    assert.equal(config.data, resolve('.causeway'));
    assert.equal(config.host, '127.0.0.1');
    assert.equal(config.blobPort, 10_000);
    assert.equal(config.adminPort, 8080);
    assert.equal(config.workers, availableParallelism());
    assert.equal(config.dev, false);
    assert.equal(config.requestLog, true);
  });
  test('a file overrides defaults, assignments the file, and flags everything', () => {
    const file = yaml('workers: 3\nblobPort: 1\nadminPort: 2\nlogLevel: warn\nstrictVersions: true\n');
    const config = load({
      file,
      assignments: ['blobPort=3', 'adminPort=4'],
      flags: { adminPort: '5', host: undefined },
    });
    assert.deepEqual(
      [config.workers, config.blobPort, config.adminPort, config.logLevel, config.strictVersions, config.host],
      [3, 3, 5, 'warn', true, '127.0.0.1'],
    );
  });
  test('an empty file, or one with only comments, changes nothing', () => {
    assert.deepEqual(load({ file: yaml('') }), load());
    assert.deepEqual(load({ file: yaml('# workers: 9\n---\n') }), load());
  });
  test('a word stays a word where the setting is text', () => {
    assert.equal(load({ flags: { data: '123' } }).data, resolve('123'));
    assert.equal(load({ assignments: ['data=a=b'] }).data, resolve('a=b'));
  });
  test('a public host may have a port and a scheme', () => {
    const hosts = ['', 'a.example', 'a.example:80', 'https://a.example', 'http://[::1]:81', '::1', '10.0.0.1:82'];
    for (const host of hosts) assert.equal(load({ assignments: [`publicHost=${host}`] }).publicHost, host);
  });
  test('a list is a list in a file, and a word with commas on the command line', () => {
    const hosts = ['.example.org', '127.0.0.1', '::1', 'a.example'];
    const file = yaml(`copySourceHosts:\n${hosts.map((host) => `  - "${host}"\n`).join('')}`);
    assert.deepEqual(load({ file }).copySourceHosts, hosts);
    assert.deepEqual(load({ assignments: [`copySourceHosts=${hosts.join(',')}`] }).copySourceHosts, hosts);
    assert.deepEqual(load({ assignments: ['copySourceHosts=*'] }).copySourceHosts, ['*']);
    assert.deepEqual(load({ assignments: ['copySourceHosts='] }).copySourceHosts, []);
    assert.ok(load().copySourceHosts.includes('.blob.core.windows.net'));
  });
  test('every setting can be written into a file as its default, under its own name', () => {
    const settings = describeSettings();
    assert.deepEqual(
      load({ file: yaml(settings.map(({ name, byDefault }) => `${name}: ${byDefault}\n`).join('')) }),
      load(),
    );
    for (const { name, meaning } of settings) assert.notEqual(meaning, '', name);
  });
  test('what was loaded cannot be changed by accident', () => {
    const outcome = loadConfig();
    assert.ok(outcome.kind === 'config');
    assert.ok(Object.isFrozen(outcome.config));
  });
});

describe('a refusal names the setting:', () => {
  const cases: [what: string, args: ConfigArgs, setting: string, message: RegExp][] = [
    ['an unknown key', { file: yaml('colour: blue\n') }, 'colour', /^colour: unknown setting \(in .*\.yaml\)$/],
    ['a key in the style of a flag', { file: yaml('blob-port: 1\n') }, 'blob-port', /did you mean blobPort\?/],
    ['a key that every object has', { file: yaml('constructor: 1\n') }, 'constructor', /unknown setting/],
    ['a key that is a prototype', { file: yaml('__proto__: {dev: true}\n') }, '__proto__', /unknown setting/],
    ['an unknown assignment', { assignments: ['color=blue'] }, 'color', /\(in --set\)$/],
    ['an assignment without a value', { assignments: ['dev'] }, 'set', /^set: must be given as --set name=value/],
    ['a port too high', { flags: { blobPort: '65536' } }, 'blobPort', /^blobPort: .*0 to 65535 \(in --blob-port\)$/],
    ['a port with a fraction', { file: yaml('adminPort: 80.5\n') }, 'adminPort', /whole number/],
    ['a port with letters', { flags: { adminPort: '80a' } }, 'adminPort', /whole number/],
    ['an empty port', { flags: { adminPort: '' } }, 'adminPort', /whole number/],
    ['a port in hexadecimal', { flags: { adminPort: '0x50' } }, 'adminPort', /whole number/],
    ['a number in quotes', { file: yaml('workers: "2"\n') }, 'workers', /whole number/],
    ['no workers', { flags: { workers: '0' } }, 'workers', /from 1 to 256/],
    ['not a number', { file: yaml('stallTimeoutMs: .nan\n') }, 'stallTimeoutMs', /milliseconds/],
    ['endless', { file: yaml('stallTimeoutMs: .inf\n') }, 'stallTimeoutMs', /milliseconds/],
    ['longer than a timer', { assignments: ['stallTimeoutMs=2147483648'] }, 'stallTimeoutMs', /2147483647/],
    ['a key without a value', { file: yaml('host:\n') }, 'host', /^host: must be an IP address or a host name/],
    ['a host with a port', { flags: { host: '127.0.0.1:80' } }, 'host', /IP address/],
    ['a public host with a path', { assignments: ['publicHost=a.example/b'] }, 'publicHost', /HOST:PORT/],
    ['a public host of a bad port', { assignments: ['publicHost=a.example:0'] }, 'publicHost', /HOST:PORT/],
    ['a public host of another scheme', { assignments: ['publicHost=ftp://a.example'] }, 'publicHost', /HOST:PORT/],
    ['an empty host', { flags: { host: '' } }, 'host', /IP address/],
    ['an empty directory', { flags: { data: '' } }, 'data', /path of a directory/],
    ['yes for true', { file: yaml('dev: yes\n') }, 'dev', /true or false/],
    ['a level that pino does not have', { assignments: ['logLevel=loud'] }, 'logLevel', /one of trace, debug, info/],
    ['a segment that is too small', { assignments: ['segmentBytes=4096'] }, 'segmentBytes', /from 1048576/],
    ['a segment off the page', { assignments: ['segmentBytes=1048577'] }, 'segmentBytes', /multiple of 4096/],
    ['the same port twice', { flags: { blobPort: '8080' } }, 'adminPort', /same as blobPort/],
    ['a file that is missing', { file: join(directory, 'absent.yaml') }, 'config', /ENOENT/],
    ['a directory for a file', { file: directory }, 'config', /EISDIR/],
    ['a file that is no YAML', { file: yaml('a: [1, 2\nb: 3') }, 'config', /not valid YAML at line 2/],
    ['a key twice', { file: yaml('workers: 1\nworkers: 2\n') }, 'config', /line 2.*duplicate key/],
    ['a tag of its own', { file: yaml('data: !!js/function x\n') }, 'config', /tag/],
    ['a list', { file: yaml('- workers: 1\n') }, 'config', /mapping/],
    ['a word', { file: yaml('workers\n') }, 'config', /mapping/],
    [
      'a word for a list',
      { file: yaml('copySourceHosts: a.example\n') },
      'copySourceHosts',
      /must be a list of host names/,
    ],
    ['a list of numbers', { file: yaml('copySourceHosts: [1]\n') }, 'copySourceHosts', /must be a list of host names/],
    ['a host with a scheme', { assignments: ['copySourceHosts=http://a'] }, 'copySourceHosts', /list.*\(in --set\)$/],
    ['a host with a star', { assignments: ['copySourceHosts=a,*.b'] }, 'copySourceHosts', /list of host names/],
    ['a mapping for a value', { file: yaml('workers: {a: 1}\n') }, 'workers', /whole number/],
  ];
  for (const [what, args, setting, message] of cases) {
    test(what, () => {
      const outcome = refused(args);
      assert.equal(outcome.setting, setting);
      assert.match(outcome.message, message);
    });
  }
  test('no value and no odd key is ever repeated', () => {
    const secret = 'QUNDT1VOVEtFWQ==';
    for (const args of [
      { file: yaml(`accountKey: ${secret}\n`) },
      { file: yaml(`workers: ${secret}\n`) },
      { file: yaml(`logLevel: "${secret}\n`) },
      { file: yaml(`dev: *${secret}\n`) },
      { assignments: [`accountKey=${secret}`] },
      { assignments: [`=${secret}`] },
      { flags: { workers: secret } },
    ]) {
      assert.doesNotMatch(refused(args).message, new RegExp(secret));
    }
    const odd = refused({ file: yaml(`"a\\n${'b'.repeat(500)}": 1\n`) });
    assert.ok(odd.message.length < 300);
  });
});

describe('the development account', () => {
  const dev = (host: string) => loadConfig({ flags: { dev: true, host } });
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1']) {
    test(`is served on ${host}`, () => assert.equal(dev(host).kind, 'config'));
  }
  for (const host of [
    '0.0.0.0',
    '::',
    '192.168.1.4',
    'example.org',
    'localhost.example.org',
    '127.1',
    '0',
    '::ffff:10.0.0.1',
  ]) {
    test(`is refused on ${host}`, () => {
      const outcome = dev(host);
      assert.equal(outcome.kind === 'invalid' && outcome.setting, 'host');
    });
  }
  test('is refused when the file opens the host that a flag makes a development one', () => {
    assert.equal(refused({ file: yaml('host: 0.0.0.0\n'), flags: { dev: true } }).setting, 'host');
    assert.equal(load({ file: yaml('host: 0.0.0.0\n') }).host, '0.0.0.0');
  });
});

test('whatever a file holds, the answer is a value and one line', () => {
  const keys = fc.oneof(fc.string(), fc.constantFrom(...describeSettings().map(({ name }) => name)));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.dictionary(keys, fc.jsonValue()).map((value) => JSON.stringify(value)),
      ),
      (text) => {
        const path = join(directory, 'any.yaml');
        writeFileSync(path, text);
        const outcome = loadConfig({ file: path });
        if (outcome.kind === 'invalid') assert.match(outcome.message, /^.{3,400}$/u);
      },
    ),
    { numRuns: 300 },
  );
});
