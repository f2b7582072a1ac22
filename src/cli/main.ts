// The program: runs the command that its arguments name, and exits with its code.
import { exitCode } from './contract.ts';
import { ProgressLine } from './progress.ts';
import { fail } from './refuse.ts';
import { asksForJson, run } from './run.ts';

// A reader that has seen enough (`| head`) ends the program without a word.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const { stderr } = process;
const line =
  stderr.isTTY && process.env.TERM !== 'dumb' ? new ProgressLine(stderr, () => performance.now()) : undefined;
const words = process.argv.slice(2);
const say = (stream: NodeJS.WriteStream, text: string): void => {
  line?.clear();
  stream.write(`${text}\n`);
};
const err = (text: string): void => say(stderr, text);

try {
  const code = await run(words, {
    out: (text) => say(process.stdout, text),
    drained: () => written(process.stdout),
    err,
    progress: line?.show,
    server: () => import('../server.ts'),
  });
  line?.clear();
  await written(process.stdout);
  process.exit(code);
} catch (error) {
  line?.clear();
  if (!asksForJson(words)) console.error(error);
  else {
    const message = error instanceof Error ? error.message : String(error);
    fail({ code: 'InternalError', message }, { out: err, err, json: true, server: () => import('../server.ts') });
  }
  process.exit(exitCode.failed);
}

/** Exiting drops what a slow pipe has not taken yet; a listing must not lose its end. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}
