// The rules that the source tree keeps: who may import whom, no cycles, nothing unreachable, and how a file begins and ends.
import { posix } from 'node:path';

/** Path from the root of the project (with `/`) to text. */
export type Tree = ReadonlyMap<string, string>;

export const linesMax = 500;

const middle = ['metadata', 'content', 'base', 'codec'];
const aboveNamespace = ['namespace', ...middle];

/** The floors that each floor may import besides itself. A floor that does not stand here is a mistake, not an exception. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  base: [],
  codec: ['base'],
  metadata: ['base', 'codec'],
  content: ['base', 'codec'],
  namespace: middle,
  identity: ['metadata', 'base', 'codec'],
  encryption: ['namespace', 'base'],
  federation: aboveNamespace,
  lifecycle: aboveNamespace,
  streams: aboveNamespace,
  tables: aboveNamespace,
  followers: aboveNamespace,
  surfaces: [
    'base',
    'codec',
    'namespace',
    'identity',
    'federation',
    'lifecycle',
    'streams',
    'tables',
    'followers',
    'surfaces/http',
  ],
  cli: ['base', 'server.ts'],
};

const testFile = /\.(test|fuzz|testing)\.ts$/;

/** A statement of Biome's layout begins its line, so what is said in a comment or a string is not taken for an import. */
const importPatterns = [
  /^import\s+(?:type\s+)?[\w$*{}\s,]+?\s+from\s+['"]([^'"\n]+)['"]/gm,
  /^import\s+['"]([^'"\n]+)['"]/gm,
  /^export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[\w$\s,]*\})\s+from\s+['"]([^'"\n]+)['"]/gm,
  /\bimport\(\s*['"]([^'"\n]+)['"]/g,
  // How the entry file of another process or thread is named.
  /\bnew URL\(\s*['"](\.[^'"\n]+\.ts)['"],\s*import\.meta\.url/g,
  /\bimport\.meta\.resolve\(\s*['"](\.[^'"\n]+\.ts)['"]/g,
  /\bimport\.meta\.dirname,\s*['"]([^'"\n]+\.ts)['"]/g,
];

/** The files that a file imports (or starts as a process or a thread), as paths from the root. */
export function importsOf(path: string, text: string): string[] {
  const found = new Set<string>();
  for (const pattern of importPatterns) {
    for (const match of text.matchAll(pattern)) {
      const specifier = match[1] ?? '';
      if (specifier.startsWith('.') || match[0].includes('import.meta.dirname'))
        found.add(posix.join(posix.dirname(path), specifier));
    }
  }
  return [...found];
}

type Graph = ReadonlyMap<string, readonly string[]>;

/** Every TypeScript file with what it imports; a path that is no file of the tree is left for the type checker to report. */
export function graphOf(tree: Tree): Graph {
  const graph = new Map<string, string[]>();
  for (const [path, text] of tree) {
    if (path.endsWith('.ts'))
      graph.set(
        path,
        importsOf(path, text).filter((to) => to.endsWith('.ts') && tree.has(to)),
      );
  }
  return graph;
}

/** `base`, `surfaces/blob`, or `server.ts`; undefined outside `src/`. */
function floorOf(path: string): string | undefined {
  const parts = path.split('/');
  if (parts[0] !== 'src' || parts[1] === undefined) return undefined;
  return parts[1] === 'surfaces' && parts.length > 3 ? `surfaces/${parts[2]}` : parts[1];
}

export function forbiddenImports(graph: Graph): string[] {
  const problems: string[] = [];
  for (const [from, targets] of graph) {
    const floor = floorOf(from);
    if (floor === undefined) continue;
    const general = floor.split('/')[0] ?? floor;
    const allowed = mayImport[general];
    // The composition root and its parts.
    const isRoot = floor === 'server.ts' || floor === 'server';
    if (allowed === undefined && !isRoot) problems.push(`${from}: '${floor}' is not a floor of the plan`);
    for (const to of targets) {
      const other = floorOf(to);
      if (other === undefined) problems.push(`${from} imports ${to}: nothing in src may import from outside it`);
      else if (testFile.test(to) && !testFile.test(from))
        problems.push(`${from} imports ${to}, which is for tests only`);
      // A test may stand its subject on real floors; the composition root may import anything.
      else if (testFile.test(from) || allowed === undefined || floor === other) continue;
      else if (!allowed.includes(other)) problems.push(`${from} imports ${to}: ${floor} may not import ${other}`);
    }
  }
  return problems;
}

/** One line a cycle (each strongly connected set of files once), found by Tarjan's walk. */
export function importCycles(graph: Graph): string[] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const onStack = new Set<string>();
  const cycles: string[] = [];
  const walk = (at: string): number => {
    const own = index.size;
    index.set(at, own);
    let lowest = own;
    stack.push(at);
    onStack.add(at);
    for (const to of graph.get(at) ?? []) {
      if (!index.has(to)) lowest = Math.min(lowest, walk(to));
      else if (onStack.has(to)) lowest = Math.min(lowest, index.get(to) ?? lowest);
    }
    low.set(at, lowest);
    if (lowest === own) {
      const members = stack.splice(stack.indexOf(at));
      for (const member of members) onStack.delete(member);
      if (members.length > 1 || (graph.get(at) ?? []).includes(at))
        cycles.push(`a cycle of imports: ${members.join(', ')}`);
    }
    return lowest;
  };
  for (const path of graph.keys()) if (!index.has(path)) walk(path);
  return cycles;
}

/** `src` files that the program does not reach: what only tests or the simulation use is reported as well. */
export function unreachableFiles(graph: Graph, entry: string, usedElsewhere: ReadonlySet<string>): string[] {
  const reached = new Set<string>();
  const queue = [entry, ...usedElsewhere];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    queue.push(...(graph.get(path) ?? []));
  }
  return [...graph.keys()]
    .filter((path) => path.startsWith('src/') && !testFile.test(path) && !reached.has(path))
    .map((path) => `${path}: not reached from ${entry}`);
}

export function missingFirstComments(tree: Tree): string[] {
  return [...tree]
    .filter(([path, text]) => path.startsWith('src/') && path.endsWith('.ts') && !/^(\/\/ ?\S|\/\*\*? ?\S)/.test(text))
    .map(([path]) => `${path}: its first line is no comment that says what it owns`);
}

export function longFiles(tree: Tree): string[] {
  const problems: string[] = [];
  for (const [path, text] of tree) {
    const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
    if (path.endsWith('.ts') && lines > linesMax) problems.push(`${path}: ${lines} lines, more than ${linesMax}`);
  }
  return problems;
}

/** A path of the machine where something was written means nothing on another one. */
const machinePath = /(?<![\w.~$}/-])\/(?:work|root|home\/\w+|Users\/\w+)(?:\/[\w.-]|(?=['"`\s),;]|$))/m;

export function machinePaths(tree: Tree): string[] {
  const problems: string[] = [];
  for (const [path, text] of tree) {
    if (!machinePath.test(text)) continue;
    const line = text.split('\n').findIndex((each) => machinePath.test(each)) + 1;
    problems.push(`${path}:${line}: names a path of one machine`);
  }
  return problems;
}
