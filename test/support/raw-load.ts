// A load of one signed request over and over, on bare connections: as cheap for the client as it can be.
import { connect, type Socket } from 'node:net';

export interface RawLoad {
  readonly host: string;
  readonly port: number;
  /** Each connection sends its own head, and the body that all have. The answers must have a Content-Length. */
  readonly heads: readonly string[];
  readonly body: Buffer;
  /** Requests a second of all connections together; absent: each sends the next as soon as it has the answer. */
  readonly perS?: number;
  readonly localAddress?: string;
}

export interface LoadCounts {
  answered: number;
  refused: number;
  cut: number;
}

const paceMs = 5;

/** Runs until it is stopped; the counts are live. */
export function startLoad({ host, port, heads, body, perS, localAddress }: RawLoad): {
  readonly counts: LoadCounts;
  stop(): void;
} {
  const counts: LoadCounts = { answered: 0, refused: 0, cut: 0 };
  const idle: (() => void)[] = [];
  const sockets = new Set<Socket>();
  let stopped = false;
  let due = 0;

  const send = (socket: Socket, head: string): void => {
    // In one piece where it is short: two would cost the server a second read.
    if (body.length <= 65_536) return void socket.write(Buffer.concat([Buffer.from(head), body]));
    socket.cork();
    socket.write(head);
    socket.write(body);
    socket.uncork();
  };
  const open = (head: string): void => {
    if (stopped) return;
    const socket = connect({ host, port, noDelay: true, ...(localAddress !== undefined && { localAddress }) });
    sockets.add(socket);
    const next = (): void => {
      if (perS === undefined || due >= 1) {
        due -= 1;
        send(socket, head);
      } else idle.push(next);
    };
    const reader = new AnswerReader((status) => {
      if (status < 400) counts.answered += 1;
      else counts.refused += 1;
      if (!stopped) next();
    });
    socket.on('connect', next);
    socket.on('data', (bytes: Buffer) => reader.read(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      if (stopped) return;
      counts.cut += 1;
      const at = idle.indexOf(next);
      if (at !== -1) idle.splice(at, 1);
      setTimeout(() => open(head), 50);
    });
  };
  for (const head of heads) open(head);

  let lastMs = performance.now();
  const pacer =
    perS === undefined
      ? undefined
      : setInterval(() => {
          const nowMs = performance.now();
          // What could not be sent in time is not made up for by a burst of more than a second.
          due = Math.min(perS, due + ((nowMs - lastMs) * perS) / 1000);
          lastMs = nowMs;
          while (due >= 1 && idle.length > 0) (idle.shift() as () => void)();
        }, paceMs);
  return {
    counts,
    stop: () => {
      stopped = true;
      clearInterval(pacer);
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Counts answers by their heads and lengths, over any split of the bytes. */
class AnswerReader {
  readonly #onAnswer: (status: number) => void;
  #head = '';
  #bodyLeft = 0;
  #status = 0;

  constructor(onAnswer: (status: number) => void) {
    this.#onAnswer = onAnswer;
  }

  read(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#bodyLeft > 0) {
        const taken = Math.min(this.#bodyLeft, bytes.length - at);
        this.#bodyLeft -= taken;
        at += taken;
        if (this.#bodyLeft === 0) this.#onAnswer(this.#status);
        continue;
      }
      const before = this.#head.length;
      this.#head += bytes.toString('latin1', at);
      const end = this.#head.indexOf('\r\n\r\n');
      if (end === -1) return;
      at += end + 4 - before;
      this.#status = Number(this.#head.slice(9, 12));
      const length = /\r\ncontent-length: (\d+)/i.exec(this.#head.slice(0, end + 2));
      this.#bodyLeft = Number(length?.[1] ?? 0);
      this.#head = '';
      if (this.#bodyLeft === 0) this.#onAnswer(this.#status);
    }
  }
}
