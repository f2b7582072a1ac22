// The program: runs the command that its arguments name, and exits with its code.
import { exitCode } from './contract.ts';
import { run } from './run.ts';

// A reader that has seen enough (`| head`) ends the program without a word.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

try {
  const code = await run(process.argv.slice(2), {
    out: (line) => process.stdout.write(`${line}\n`),
    drained: () => written(process.stdout),
    err: (line) => process.stderr.write(`${line}\n`),
    server: () => import('../server.ts'),
  });
  await written(process.stdout);
  process.exit(code);
} catch (error) {
  console.error(error);
  process.exit(exitCode.failed);
}

/** Exiting drops what a slow pipe has not taken yet; a listing must not lose its end. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}
