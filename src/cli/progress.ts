// How far a long command is, in one line of a terminal that is written over and goes away.

/** Says it when a line is due: what is never shown is never put together. */
export type Progress = (text: () => string) => void;

export interface Terminal {
  readonly columns?: number;
  write(text: string): unknown;
}

const pauseMs = 150;
/** What is done sooner needs no progress. */
const firstMs = 400;
const erase = '\r\u001b[K';

export class ProgressLine {
  readonly #terminal: Terminal;
  readonly #nowMs: () => number;
  #dueMs: number;
  #isShown = false;

  constructor(terminal: Terminal, nowMs: () => number) {
    this.#terminal = terminal;
    this.#nowMs = nowMs;
    this.#dueMs = nowMs() + firstMs;
  }

  readonly show: Progress = (text) => {
    const nowMs = this.#nowMs();
    if (nowMs < this.#dueMs) return;
    this.#dueMs = nowMs + pauseMs;
    this.#terminal.write(`${erase}${text().slice(0, (this.#terminal.columns ?? 80) - 1)}`);
    this.#isShown = true;
  };

  /** Before anything else is written, and at the end. */
  clear(): void {
    if (!this.#isShown) return;
    this.#terminal.write(erase);
    this.#isShown = false;
  }
}
