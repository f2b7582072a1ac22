// Brings what gates need, in pinned versions, into the cache directory: npm packages, Python environments, Go programs, Java class paths.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { GateContext } from './gate.ts';
import { runOrThrow, runProcess } from './process.ts';

type InstallContext = Pick<GateContext, 'cacheDir' | 'log'>;

const installTimeoutMs = 600_000;
/** Some have a thousand packages. */
const goTimeoutMs = 1_800_000;

// npm hands its own settings down to what it runs; an inner npm would take them for its own and install elsewhere.
const withoutOuterNpm: Record<string, undefined> = Object.fromEntries(
  ['npm_config_local_prefix', 'npm_config_prefix', 'npm_config_omit', 'npm_config_dry_run', 'NODE_ENV'].map((name) => [
    name,
    undefined,
  ]),
);

/** Installs exactly these versions; resolves with the directory that holds `node_modules`. */
export function npmPackages(
  context: InstallContext,
  folder: string,
  packages: Readonly<Record<string, string>>,
): Promise<string> {
  return once(context, folder, JSON.stringify(packages), async (directory) => {
    const manifest = { name: 'causeway-gate', private: true, dependencies: packages };
    await writeFile(join(directory, 'package.json'), JSON.stringify(manifest));
    const args = ['install', '--prefix', directory, '--no-audit', '--no-fund', '--save-exact', '--include=optional'];
    await runOrThrow('npm', args, { cwd: directory, env: withoutOuterNpm, timeoutMs: installTimeoutMs });
  });
}

/** A virtual environment with exactly these requirements (`name==version`); resolves with the path of its Python. */
export async function pythonVenv(
  context: InstallContext,
  folder: string,
  requirements: readonly string[],
): Promise<string> {
  const unpinned = requirements.find((requirement) => !requirement.includes('=='));
  if (unpinned) throw new Error(`"${unpinned}" names no version`);
  const python = (directory: string): string => join(directory, 'venv', 'bin', 'python');
  const directory = await once(context, folder, JSON.stringify(requirements), async (fresh) => {
    const make = (): ReturnType<typeof runProcess> =>
      runProcess('python3', ['-m', 'venv', join(fresh, 'venv')], { timeoutMs: installTimeoutMs });
    if ((await make()).code !== 0) {
      // Debian's python3 comes without the part that puts pip into an environment.
      await debianPackage(context, 'python3-venv', async () => false);
      await rm(join(fresh, 'venv'), { recursive: true, force: true });
      const again = await make();
      if (again.code !== 0) throw new Error(`python3 makes no virtual environment: ${again.stderr.slice(-500)}`);
    }
    const args = ['-m', 'pip', 'install', '--disable-pip-version-check', '--quiet', ...requirements];
    await runOrThrow(python(fresh), args, { timeoutMs: installTimeoutMs });
  });
  return python(directory);
}

/** Builds exactly these Go programs (`module/path@version`); resolves with the directory that holds them. */
export function goPrograms(context: InstallContext, folder: string, programs: readonly string[]): Promise<string> {
  return once(context, folder, JSON.stringify(programs), async (directory) => {
    const options = { env: { GOBIN: directory, GOFLAGS: '-trimpath' }, timeoutMs: goTimeoutMs };
    for (const program of programs) await runOrThrow('go', ['install', '-ldflags', '-s -w', program], options);
  });
}

/** Builds a program of a module that this `go.mod` requires; resolves with the directory that holds it. */
export function goBuild(context: InstallContext, folder: string, module: string, program: string): Promise<string> {
  return once(context, folder, `${module}${program}`, async (directory) => {
    await writeFile(join(directory, 'go.mod'), module);
    const options = { cwd: directory, env: { GOFLAGS: '-mod=mod' }, timeoutMs: goTimeoutMs };
    await runOrThrow('go', ['build', '-trimpath', '-ldflags', '-s -w', program], options);
  });
}

/** Compiles the Java sources of a folder with a `pom.xml`; resolves with the class path that runs them. */
export async function mavenBuild(context: InstallContext, folder: string, sources: string): Promise<string> {
  const has =
    (program: string): (() => Promise<boolean>) =>
    async () =>
      runProcess(program, ['-version']).then(
        ({ code }) => code === 0,
        () => false,
      );
  await debianPackage(context, 'default-jdk-headless', has('javac'));
  await debianPackage(context, 'maven', has('mvn'));
  // What is downloaded outlives a change of the sources.
  const repository = join(context.cacheDir, 'maven-repository');
  const directory = await once(context, folder, await digest(sources), async (fresh) => {
    const settings = [`-Dmaven.repo.local=${repository}`, `-Dgate.build=${join(fresh, 'build')}`];
    const goals = ['compile', 'dependency:build-classpath', `-Dmdep.outputFile=${join(fresh, 'classpath')}`];
    const args = ['--batch-mode', '--quiet', '--no-transfer-progress', '--file', join(sources, 'pom.xml')];
    await runOrThrow('mvn', [...args, ...settings, ...goals], { timeoutMs: installTimeoutMs });
  });
  const dependencies = await readFile(join(directory, 'classpath'), 'utf8');
  return `${join(directory, 'build', 'classes')}:${dependencies.trim()}`;
}

/** Of all files below a folder, by name and content. */
async function digest(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile() && /\.(java|xml)$/.test(entry.name));
  for (const path of paths.map((entry) => join(entry.parentPath, entry.name)).sort()) {
    hash.update(relative(folder, path)).update(await readFile(path));
  }
  return hash.digest('hex');
}

/** Installs a Debian package unless `present()`; without apt-get or root it throws a line that says what to do. */
export async function debianPackage(
  context: InstallContext,
  name: string,
  present: () => Promise<boolean>,
): Promise<void> {
  if (await present()) return;
  if (process.platform !== 'linux' || !existsSync('/usr/bin/apt-get') || process.getuid?.() !== 0) {
    throw new Error(`${name} is not installed: install it with this system's package manager`);
  }
  context.log(`installing ${name}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await runOrThrow('apt-get', ['update', '-q'], { env, timeoutMs: installTimeoutMs });
  const args = ['install', '-y', '-q', '--no-install-recommends', name];
  await runOrThrow('apt-get', args, { env, timeoutMs: installTimeoutMs });
}

/** A folder whose marker says that the same specification was installed to its end is used again; any other is redone. */
async function once(
  context: InstallContext,
  folder: string,
  specification: string,
  install: (directory: string) => Promise<void>,
): Promise<string> {
  const directory = join(context.cacheDir, folder);
  const marker = join(directory, '.installed');
  const done = await readFile(marker, 'utf8').catch(() => undefined);
  if (done === specification) return directory;
  context.log(`installing ${folder}`);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await install(directory);
  await writeFile(marker, specification);
  return directory;
}
