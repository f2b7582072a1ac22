// Runs rclone's azureblob backend: Debian's rclone with an account SAS, and a newer one, built by Go, with Shared Key.

import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GateContext } from '../gate.ts';
import { debianPackage } from '../install.ts';
import { describeEnd, type ProcessResult, runOrThrow, runProcess } from '../process.ts';
import { accountSas } from '../sas.ts';

const builtVersion = '1.73.0';
const commandTimeoutMs = 300_000;
const buildTimeoutMs = 900_000;

export interface Rclone {
  readonly version: string;
  /** Throws unless rclone ends with 0. */
  run(args: readonly string[], options?: { input?: string }): Promise<ProcessResult>;
  /** Resolves however rclone ends. */
  attempt(args: readonly string[]): Promise<ProcessResult>;
}

/** Debian's rclone (1.60) speaks only HTTPS with a key, so it gets the server's address with an account SAS. */
export async function debianRclone(context: GateContext): Promise<Rclone> {
  await debianPackage(context, 'rclone', () => starts('rclone'));
  const sasUrl = `${context.server.blob}/${context.server.account}?${accountSas(context.server)}`;
  return rcloneClient(context, 'rclone', { RCLONE_CONFIG_AZ_SAS_URL: sasUrl });
}

/** A newer rclone (another generation of the Azure SDK for Go) signs every request with the account's key. */
export async function builtRclone(context: GateContext): Promise<Rclone> {
  const program = await buildRclone(context);
  return rcloneClient(context, program, {
    RCLONE_CONFIG_AZ_ACCOUNT: context.server.account,
    RCLONE_CONFIG_AZ_KEY: context.server.key,
    RCLONE_CONFIG_AZ_ENDPOINT: `${context.server.blob}/${context.server.account}`,
  });
}

async function rcloneClient(
  context: GateContext,
  program: string,
  remote: Readonly<Record<string, string>>,
): Promise<Rclone> {
  const configuration = join(context.workDir, 'rclone.conf');
  await writeFile(configuration, '');
  // Outer settings of rclone must not change what is tested.
  const outer = Object.keys(process.env).filter((name) => name.startsWith('RCLONE_'));
  const env = {
    ...Object.fromEntries(outer.map((name) => [name, undefined])),
    RCLONE_CONFIG: configuration,
    RCLONE_CONFIG_AZ_TYPE: 'azureblob',
    // Small pieces, so that moderate files go up as blocks, too.
    RCLONE_CONFIG_AZ_CHUNK_SIZE: '4Mi',
    RCLONE_CONFIG_AZ_UPLOAD_CUTOFF: '4Mi',
    RCLONE_RETRIES: '1',
    RCLONE_LOW_LEVEL_RETRIES: '1',
    // Names that look the same stay different names.
    RCLONE_NO_UNICODE_NORMALIZATION: 'true',
    ...remote,
  };
  const attempt = (args: readonly string[], options = {}): Promise<ProcessResult> =>
    runProcess(program, args, { env, timeoutMs: commandTimeoutMs, ...options });
  const { stdout } = await runOrThrow(program, ['version'], { env });
  return {
    version: stdout.split('\n')[0]?.trim() ?? '',
    attempt,
    async run(args, options) {
      const result = await attempt(args, options);
      if (result.code !== 0 || result.timedOut) throw new Error(describeEnd(`rclone ${args[0]}`, result));
      return result;
    },
  };
}

/** Resolves with the path of the program. */
export async function buildRclone(context: GateContext): Promise<string> {
  const directory = join(context.cacheDir, `rclone-${builtVersion}`);
  const program = join(directory, 'rclone');
  if (existsSync(program)) return program;
  context.log(`building rclone ${builtVersion}`);
  await mkdir(directory, { recursive: true });
  // Only the backends and commands that the gate uses: a quarter of what the whole takes to build.
  const commands = ['cat', 'check', 'copy', 'copyto', 'delete', 'deletefile', 'lsf', 'mkdir', 'moveto', 'purge'];
  const more = ['rcat', 'settier', 'size', 'sync', 'version'];
  const parts = [...commands, ...more].map((name) => `cmd/${name}`);
  const imports = ['backend/azureblob', 'backend/local', ...parts].map(
    (path) => `\t_ "github.com/rclone/rclone/${path}"`,
  );
  const source = [
    'package main',
    '',
    'import (',
    '\t"github.com/rclone/rclone/cmd"',
    ...imports,
    ')',
    '',
    'func main() { cmd.Main() }',
    '',
  ];
  await writeFile(join(directory, 'main.go'), source.join('\n'));
  await writeFile(
    join(directory, 'go.mod'),
    `module causeway-gate\n\ngo 1.24\n\nrequire github.com/rclone/rclone v${builtVersion}\n`,
  );
  const options = { cwd: directory, timeoutMs: buildTimeoutMs, env: { GOFLAGS: '-mod=mod' } };
  await runOrThrow('go', ['mod', 'tidy'], options);
  await runOrThrow('go', ['build', '-trimpath', '-ldflags', '-s -w', '-o', 'rclone.new', '.'], options);
  await rename(join(directory, 'rclone.new'), program);
  return program;
}

async function starts(program: string): Promise<boolean> {
  return runProcess(program, ['version']).then(
    (result) => result.code === 0,
    () => false,
  );
}
