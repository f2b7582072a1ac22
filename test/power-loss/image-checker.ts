// Asks whether an image holds what it must: in a process of its own, which may die of what it opens.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { checksumOf, contentOf } from '../support/content.ts';
import type { BlobState, Ledger } from '../support/ledger.ts';
import { developmentAccount } from '../support/sas.ts';
import type { ImageAnswer, ImageQuestion } from './check-image.ts';

const checkerScript = fileURLToPath(new URL('./check-image.ts', import.meta.url));
const answerTimeoutMs = 60_000;

export interface Verdict {
  readonly failures: string[];
  readonly orphans: number;
}

export class ImageChecker {
  readonly #storeModule: string;
  readonly #checksums: Map<number, string>;
  #child: ChildProcess | undefined;

  /** `checksums` may be shared by checkers: it keeps what was computed. */
  constructor(storeModule: string, checksums: Map<number, string>) {
    this.#storeModule = storeModule;
    this.#checksums = checksums;
  }

  close(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }

  /** Whether the image opens, is sound, and holds of every blob a state that the ledger allows at the cut. */
  async check(dataDir: string, container: string, ledger: Ledger, cut: number): Promise<Verdict> {
    const names = ledger.names();
    const blobs = names.map((name) => name.slice(container.length + 1));
    const answer = await this.#ask({ dataDir, account: developmentAccount, container, blobs });
    if (answer.kind === 'failed') return { failures: [`does not open: ${answer.message}`], orphans: 0 };
    const failures = answer.damage.map((damage) => `fsck: ${damage}`);
    for (const [index, name] of names.entries()) {
      const allowed = ledger.allowedAt(name, cut);
      const found = answer.checksums[index] ?? null;
      if (allowed.some((state) => this.#checksum(state) === found)) continue;
      failures.push(`${name}: ${this.#describe(found, ledger)}, allowed: ${JSON.stringify(allowed)}`);
    }
    return { failures, orphans: answer.orphans };
  }

  #checksum(state: BlobState): string | null {
    if (state === 'absent') return null;
    const known = this.#checksums.get(state.content);
    if (known !== undefined) return known;
    const checksum = checksumOf(contentOf(state.content, state.bytes));
    this.#checksums.set(state.content, checksum);
    return checksum;
  }

  #describe(found: string | null, ledger: Ledger): string {
    if (found === null) return 'is missing';
    const origin = ledger.states().find((state) => this.#checksum(state) === found);
    return origin === undefined ? 'holds bytes that were never written whole' : `holds ${JSON.stringify(origin)}`;
  }

  async #ask(question: ImageQuestion): Promise<ImageAnswer> {
    this.#child ??= fork(checkerScript, [this.#storeModule], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    const child = this.#child;
    let errors = '';
    const take = (text: Buffer): void => {
      errors += text.toString();
    };
    child.stderr?.on('data', take);
    const done = new AbortController();
    const signal = AbortSignal.any([done.signal, AbortSignal.timeout(answerTimeoutMs)]);
    try {
      child.send(question);
      return await Promise.race([
        once(child, 'message', { signal }).then(([answer]) => answer as ImageAnswer),
        once(child, 'exit', { signal }).then(([code, by]) => {
          throw new Error(`the process that opened it ended with ${code ?? by}`);
        }),
      ]);
    } catch (error) {
      this.close();
      return { kind: 'failed', message: `${(error as Error).message} ${errors.slice(-2000)}` };
    } finally {
      done.abort();
      child.stderr?.off('data', take);
    }
  }
}
