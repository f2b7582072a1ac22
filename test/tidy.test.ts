// Holds the tree to the rules of tidy.ts, and shows for every rule that it finds a made-up violation.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  forbiddenImports,
  graphOf,
  importCycles,
  importsOf,
  linesMax,
  longFiles,
  machinePaths,
  missingFirstComments,
  type Tree,
  unreachableFiles,
} from './tidy.ts';

const root = join(import.meta.dirname, '..');
const entry = 'src/cli/main.ts';

/** Parts of src that the program does not reach, and why they stand in src all the same. */
const usedElsewhere: Readonly<Record<string, string>> = {
  'src/metadata/memory-engine.ts': 'the engine of the simulation, and of the tests of everything above the seam',
};

/** Every text file of the project. */
function projectTree(): Tree {
  const tree = new Map<string, string>();
  for (const path of projectPaths()) {
    try {
      const text = readFileSync(join(root, path), 'utf8');
      if (!text.includes('\0')) tree.set(path, text);
    } catch (error) {
      // A directory, or what was removed but not yet committed.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'EISDIR') throw error;
    }
  }
  return tree;
}

/** What is in the repository or would be added to it; in a copy without its history, everything that is not installed. */
function projectPaths(): Set<string> {
  const command = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const listed = existsSync(join(root, '.git'))
    ? spawnSync('git', command, { cwd: root, maxBuffer: 64 << 20 })
    : undefined;
  if (listed?.status === 0) return new Set(listed.stdout.toString().split('\0').filter(Boolean));
  const installed = ['.git', 'node_modules', '.cache', '.causeway'];
  return new Set(globSync('**/*', { cwd: root, exclude: installed }).map((path) => path.replaceAll('\\', '/')));
}

const made = (files: Record<string, string>): Tree => new Map(Object.entries(files));
const none = new Set<string>();

describe('the tree', () => {
  const tree = projectTree();
  const graph = graphOf(tree);
  const holds = (problems: string[]) => assert.ok(problems.length === 0, problems.join('\n'));

  test('was read', () => {
    assert.ok(tree.has('test/tidy.test.ts'));
    assert.deepEqual(graph.get('test/tidy.test.ts'), ['test/tidy.ts']);
  });
  test('keeps to the import rules between floors', () => holds(forbiddenImports(graph)));
  test('has no cycle of imports', () => holds(importCycles(graph)));
  test('has no source file that the program does not reach', () => {
    holds(unreachableFiles(graph, entry, new Set(Object.keys(usedElsewhere))));
  });
  test('has no exception that is no longer needed', () => {
    for (const [path, reason] of Object.entries(usedElsewhere)) {
      assert.ok(tree.has(path) && reason !== '', `${path} is listed as an exception`);
      assert.match(unreachableFiles(graph, entry, none).join('\n'), new RegExp(`^${path}:`, 'm'));
    }
  });
  test('has files that begin by saying what they own', () => holds(missingFirstComments(tree)));
  test(`has no file over ${linesMax} lines`, () => holds(longFiles(tree)));
  test('names no path of one machine', () => holds(machinePaths(tree)));
});

describe('the import scanner', () => {
  test('sees every form of import', () => {
    const text = [
      "import a, { b } from './a.ts';",
      "import type { T } from '../b/t.ts';",
      "import * as all from './all.ts';",
      'import {',
      '  one,',
      '  type Two,',
      "} from './long.ts';",
      "import './effect.ts';",
      "export { x } from './x.ts';",
      "export * as y from './y.ts';",
      "export type { Z } from './z.ts';",
      "const lazy = await import('./lazy.ts');",
      "const worker = new URL('./worker.ts', import.meta.url);",
      "const started = fork(join(import.meta.dirname, 'started.ts'));",
      "const loaded = import.meta.resolve('./loaded.ts');",
      "import { readFile } from 'node:fs';",
    ].join('\n');
    const names = ['a', 'all', 'long', 'effect', 'x', 'y', 'z', 'lazy', 'worker', 'started', 'loaded'].map(
      (name) => `src/base/${name}.ts`,
    );
    assert.deepEqual(importsOf('src/base/file.ts', text).sort(), [...names, 'src/b/t.ts'].sort());
  });
  test('does not take a comment or a string for an import', () => {
    const text = "// import a from './a.ts';\n * import b from './b.ts';\nconst c = \"import d from './d.ts'\";\n";
    assert.deepEqual(importsOf('src/base/file.ts', text), []);
  });
});

describe('a violation is found:', () => {
  const forbidden = (from: string, to: string) =>
    forbiddenImports(
      graphOf(
        made({
          [from]: `// x\nimport type { T } from '${'../'.repeat(from.split('/').length - 1)}${to}';\n`,
          [to]: '',
        }),
      ),
    );
  const cases: [from: string, to: string, allowed: boolean][] = [
    ['src/base/a.ts', 'src/codec/b.ts', false],
    ['src/base/a.ts', 'src/base/b.ts', true],
    ['src/codec/a.ts', 'src/base/b.ts', true],
    ['src/codec/a.ts', 'src/metadata/b.ts', false],
    ['src/metadata/a.ts', 'src/content/b.ts', false],
    ['src/content/a.ts', 'src/metadata/b.ts', false],
    ['src/content/a.ts', 'src/codec/b.ts', true],
    ['src/namespace/a.ts', 'src/metadata/b.ts', true],
    ['src/namespace/a.ts', 'src/identity/b.ts', false],
    ['src/namespace/a.ts', 'src/surfaces/http/b.ts', false],
    ['src/identity/a.ts', 'src/content/b.ts', false],
    ['src/lifecycle/a.ts', 'src/namespace/b.ts', true],
    ['src/lifecycle/a.ts', 'src/streams/b.ts', false],
    ['src/surfaces/blob/a.ts', 'src/namespace/b.ts', true],
    ['src/surfaces/blob/a.ts', 'src/identity/b.ts', true],
    ['src/surfaces/blob/a.ts', 'src/metadata/b.ts', false],
    ['src/surfaces/blob/a.ts', 'src/content/b.ts', false],
    ['src/surfaces/blob/a.ts', 'src/surfaces/http/b.ts', true],
    ['src/surfaces/blob/a.ts', 'src/surfaces/blob/b.ts', true],
    ['src/surfaces/blob/a.ts', 'src/surfaces/dfs/b.ts', false],
    ['src/surfaces/http/a.ts', 'src/surfaces/blob/b.ts', false],
    ['src/surfaces/blob/a.ts', 'src/server.ts', false],
    ['src/cli/a.ts', 'src/server.ts', true],
    ['src/cli/a.ts', 'src/namespace/b.ts', false],
    ['src/server.ts', 'src/metadata/b.ts', true],
    ['src/base/a.ts', 'test/b.ts', false],
    ['src/base/a.ts', 'src/base/b.testing.ts', false],
    ['src/base/a.test.ts', 'src/metadata/b.testing.ts', true],
    ['src/attic/a.ts', 'src/base/b.ts', false],
  ];
  for (const [from, to, allowed] of cases) {
    test(`${from} ${allowed ? 'may' : 'may not'} import ${to}`, () => {
      assert.equal(forbidden(from, to).length, allowed ? 0 : 1);
    });
  }

  test('a cycle of two, of three, and of one file', () => {
    const file = (...to: string[]) => to.map((name) => `import './${name}.ts';\n`).join('');
    const graph = graphOf(
      made({
        'src/base/a.ts': file('b', 'c'),
        'src/base/b.ts': file('c'),
        'src/base/c.ts': file('d'),
        'src/base/d.ts': file('b'),
        'src/base/e.ts': file('e'),
        'src/base/f.ts': file('g'),
        'src/base/g.ts': file('f', 'a'),
      }),
    );
    const found = importCycles(graph).map((line) =>
      [...line.matchAll(/(\w)\.ts/g)]
        .map((match) => match[1])
        .sort()
        .join(''),
    );
    assert.deepEqual(found.sort(), ['bcd', 'e', 'fg']);
  });
  test('files that only a test reaches, or nothing', () => {
    const graph = graphOf(
      made({
        [entry]: "import '../base/used.ts';\n",
        'src/base/used.ts': '',
        'src/base/used.test.ts': "import './used.ts';\nimport './only-tested.ts';\nimport './support.testing.ts';\n",
        'src/base/only-tested.ts': "import './deep.ts';\n",
        'src/base/deep.ts': '',
        'src/base/support.testing.ts': '',
        'sim/run.ts': "import '../src/base/deep.ts';\n",
      }),
    );
    const tell = (path: string) => `${path}: not reached from ${entry}`;
    assert.deepEqual(unreachableFiles(graph, entry, none), ['src/base/only-tested.ts', 'src/base/deep.ts'].map(tell));
    assert.deepEqual(unreachableFiles(graph, entry, new Set(['src/base/only-tested.ts'])), []);
  });
  test('a file that does not begin with a comment', () => {
    const tree = made({
      'src/a.ts': '// Owns a.\n',
      'src/b.ts': "import './a.ts';\n",
      'src/c.ts': '//\n',
      'src/d.ts': '\n// d',
    });
    assert.deepEqual(
      missingFirstComments(tree).map((line) => line.slice(0, 8)),
      ['src/b.ts', 'src/c.ts', 'src/d.ts'],
    );
  });
  test('a file that is too long', () => {
    const tree = made({
      'src/a.ts': '\n'.repeat(linesMax),
      'sim/b.ts': '\n'.repeat(linesMax + 1),
      'c.md': '\n'.repeat(9999),
    });
    assert.deepEqual(longFiles(tree), [`sim/b.ts: ${linesMax + 1} lines, more than ${linesMax}`]);
  });
  test('a path of one machine', () => {
    const slash = '/';
    for (const bad of [
      `'${slash}work/main'`,
      `cd ${slash}root`,
      `see ${slash}home/ann/x`,
      `a\nb=${slash}work`,
      `"${slash}root"`,
    ]) {
      assert.equal(machinePaths(made({ 'docs/a.md': bad })).length, 1, bad);
    }
    for (const good of [
      'a/work/b',
      './root/x',
      '/worker/x',
      '/rooted',
      'https://host/work/x',
      '~/work/x',
      '$DIR/work/x',
    ]) {
      assert.deepEqual(machinePaths(made({ 'docs/a.md': good })), [], good);
    }
  });
});
