// Runs the very lines that the README shows for a first upload with AzCopy.
import { mkdir, readFile, symlink } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { GateContext } from '../gate.ts';
import { runProcess } from '../process.ts';
import type { Recorder } from '../recorder.ts';
import type { AzCopy } from './client.ts';

export async function checkQuickstart(context: GateContext, azcopy: AzCopy, checks: Recorder): Promise<void> {
  await checks.check('quickstart: the README’s example', async () => {
    const source = await readFile(join(import.meta.dirname, 'quickstart.sh'), 'utf8');
    // The README names the port that `npm start` uses; here it is whatever was free.
    const script = source.replace('http://127.0.0.1:10000', context.server.blob);
    if (script === source && !context.server.blob.endsWith(':10000')) throw new Error('the example names no port');
    const directory = join(context.workDir, 'quickstart');
    await mkdir(directory);
    await symlink(azcopy.program, join(directory, 'azcopy'));
    const ran = await runProcess('sh', ['-e', '-c', script], {
      cwd: directory,
      env: { ...azcopy.environment, PATH: `${directory}${delimiter}${process.env.PATH}` },
      timeoutMs: 60_000,
    });
    if (ran.code !== 0) throw new Error(`ended with ${ran.code}: ${ran.stderr.slice(-400)} ${ran.stdout.slice(-400)}`);
    if (!ran.stdout.endsWith('Hello from AzCopy\n')) throw new Error(`printed ${ran.stdout.slice(-300)}`);
  });
}
