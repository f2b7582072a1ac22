// What machines that run Causeway check: the metrics by promtool, the unit by systemd, the image by its steps and its start.

import { spawn } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Gate, GateContext } from '../gate.ts';
import { debianPackage } from '../install.ts';
import { describeEnd, runOrThrow, runProcess } from '../process.ts';
import { type Recorder, recorder } from '../recorder.ts';
import { createContainer } from '../sas.ts';

const root = join(import.meta.dirname, '..', '..');
/** Tenths of systemd's measure, which goes from 0 (shut in) to 10; what is missing of 0 is said in the unit or needed. */
const exposureMax = 15;
/** Of the program with its Node and packages: more means that something came in that a server does not need. */
const imageMebibytesMax = 310;
const installTimeoutMs = 300_000;

export const gate: Gate = {
  name: 'packaging',
  slow: false,
  async run(context) {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) {
      const detail = "the gate installs Debian's packages and makes namespaces: it needs Linux and root";
      return [{ check: 'platform', outcome: 'skip', detail, ms: 0 }];
    }
    const checks = recorder(context.log);
    await checkMetrics(context, checks);
    await checkUnit(context, checks);
    await checkImage(context, checks);
    return checks.rows;
  },
};

const starts = (program: string) => () =>
  runProcess(program, ['--version']).then(
    ({ code }) => code === 0,
    () => false,
  );

async function checkMetrics(context: GateContext, checks: Recorder): Promise<void> {
  if (context.server.admin === '') return checks.skip('promtool finds nothing in the metrics', 'no admin listener');
  await debianPackage(context, 'prometheus', starts('promtool'));
  await createContainer(context.server, 'packaging');
  await checks.check('promtool finds nothing in the metrics', async () => {
    let text = '';
    for (let tries = 0; !text.includes('causeway_objects') && tries < 100; tries++) {
      text = await (await fetch(`${context.server.admin}/metrics`)).text();
      await sleep(100);
    }
    const found = await runProcess('promtool', ['check', 'metrics'], { input: text });
    if (found.code !== 0 || found.stdout + found.stderr !== '') throw new Error(describeEnd('promtool', found));
    return `${text.match(/^# TYPE/gm)?.length} metrics`;
  });
}

async function checkUnit(context: GateContext, checks: Recorder): Promise<void> {
  await debianPackage(context, 'systemd', starts('systemd-analyze'));
  const unit = join(context.workDir, 'causeway.service');
  const text = await readFile(join(root, 'packaging', 'causeway.service'), 'utf8');
  // The program that it starts has to be there.
  await writeFile(unit, text.replaceAll('/opt/causeway', root));
  await checks.check('systemd-analyze verifies the unit', async () => {
    const { stdout, stderr } = await runOrThrow('systemd-analyze', ['verify', unit]);
    if (stdout + stderr !== '') throw new Error(stdout + stderr);
  });
  await checks.check(`systemd-analyze security finds an exposure of ${exposureMax / 10} at the most`, async () => {
    const args = ['security', '--no-pager', '--offline=true', `--threshold=${exposureMax}`, unit];
    const { stdout } = await runOrThrow('systemd-analyze', args);
    return /Overall exposure level.*: ([\d.]+)/.exec(stdout)?.[1];
  });
}

async function checkImage(context: GateContext, checks: Recorder): Promise<void> {
  const image = join(context.workDir, 'image');
  const made = await checks.check(
    'the steps of the Dockerfile run on what .dockerignore lets through',
    async () => {
      const source = join(context.workDir, 'source');
      await copyContext(source);
      const step = (name: string): Promise<unknown> =>
        runOrThrow('sh', [join(source, 'packaging', 'image.sh'), name, image], {
          env: { npm_config_omit: undefined, npm_config_dry_run: undefined, npm_config_local_prefix: undefined },
          timeoutMs: installTimeoutMs,
        });
      await step('program');
      await step('user');
      await step('user');
      await rm(source, { recursive: true });
      const users = await readFile(join(image, 'etc', 'passwd'), 'utf8');
      if (users.split('\n').filter((line) => line.startsWith('causeway:')).length !== 1) throw new Error(users);
      const { stdout } = await runOrThrow('du', ['-sm', join(image, 'opt')]);
      const mebibytes = Number.parseInt(stdout, 10);
      if (mebibytes > imageMebibytesMax) throw new Error(`it has ${mebibytes} MiB`);
      return `${mebibytes} MiB`;
    },
    { timeoutMs: installTimeoutMs },
  );
  const running = 'it serves as process 1 without root, is healthy, and ends with 0 at SIGTERM';
  if (made) await checks.check(running, () => runImage(image));
  else checks.skip(running, 'there is no image');
}

async function copyContext(target: string): Promise<void> {
  const lines = (await readFile(join(root, '.dockerignore'), 'utf8')).split('\n');
  await mkdir(target);
  for (const line of lines.filter((each) => each.startsWith('!'))) {
    await cp(join(root, line.slice(1)), join(target, line.slice(1)), { recursive: true });
  }
}

/** With the command of the Dockerfile, on ports that are free. */
async function runImage(image: string): Promise<void> {
  const dockerfile = await readFile(join(root, 'Dockerfile'), 'utf8');
  const words = ['ENTRYPOINT', 'CMD'].flatMap(
    (name) => JSON.parse(new RegExp(`^${name} (\\[.*\\])$`, 'm').exec(dockerfile)?.[1] ?? '[]') as string[],
  );
  const isolate = ['--mount', '--pid', '--fork', '--kill-child', 'sh', join(import.meta.dirname, 'isolate.sh'), image];
  const free = ['--blob-port', '0', '--admin-port', '0', '--workers', '1'];
  const child = spawn('unshare', [...isolate, ...words, ...free], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  try {
    let out = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (out += chunk.toString()));
    for (let tries = 0; !out.includes('causeway ready') && tries < 300; tries++) await sleep(100);
    const port = /"admin":"http:\/\/127\.0\.0\.1:(\d+)"/.exec(out)?.[1];
    if (port === undefined) throw new Error(`it is not ready: ${out}`);
    const [first = 0] = await childrenOf(child.pid as number);
    const status = await readFile(`/proc/${first}/status`, 'utf8');
    if (!/^NSpid:\t\d+\t1$/m.test(status)) throw new Error('the server is not process 1');
    if (!/^Uid:\t10000\t10000\t10000\t10000$/m.test(status)) throw new Error('the server is not user 10000');
    const health = join(image, 'opt', 'causeway', 'packaging', 'healthcheck');
    await runOrThrow(health, [port]);
    if ((await runProcess(health, ['1'])).code !== 1) throw new Error('it is healthy without a server');
    await expectPrivate(join(image, 'data'));
    process.kill(first, 'SIGTERM');
    const code = await Promise.race([ended, sleep(20_000, 'no end', { ref: false })]);
    if (code !== 0) throw new Error(`it ended with ${code}: ${out}`);
  } finally {
    // What changes its user outlives its parent: the first process of the namespace is ended by itself.
    for (const pid of await childrenOf(child.pid as number)) process.kill(pid, 'SIGKILL');
    child.kill('SIGKILL');
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return children.split(' ').filter(Boolean).map(Number);
}

async function expectPrivate(directory: string): Promise<void> {
  const entries = await readdir(directory, { recursive: true });
  for (const path of ['', ...entries]) {
    const { uid, mode } = await stat(join(directory, path));
    if (uid !== 10_000 || (mode & 0o077) !== 0) throw new Error(`${path}: ${uid}, ${(mode & 0o777).toString(8)}`);
  }
}
