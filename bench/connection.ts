// One raw keep-alive HTTP/1.1 connection: as little work an answer as a client can do, since it shares the server's cores.
import { connect, type Socket } from 'node:net';

export interface AnswerHandler {
  /** A run of the answer's body; the bytes are only valid during the call. */
  body(chunk: Buffer, start: number, end: number): void;
  answered(status: number, lengthBytes: number): void;
  failed(error: Error): void;
}

const headEnd = Buffer.from('\r\n\r\n');
/** All connections of a process read into this one buffer: what arrives is consumed before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);
const writeSliceBytes = 1024 * 1024;
const contentLengthPattern = /\r\ncontent-length: *(\d+)/i;
const chunkedPattern = /\r\ntransfer-encoding: *chunked/i;

const State = { head: 0, body: 1, chunkSize: 2, chunkData: 3, chunkEnd: 4, trailer: 5 } as const;
type State = (typeof State)[keyof typeof State];

export class Connection {
  readonly #socket: Socket;
  readonly #handler: AnswerHandler;
  #state: State = State.head;
  #status = 0;
  #length = 0;
  #remaining = 0;
  #line = '';
  #partialHead: Buffer | undefined;
  #busy = false;
  /** Bytes of the current request's body that the socket has taken. */
  sentBytes = 0;

  constructor(port: number, handler: AnswerHandler) {
    this.#handler = handler;
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length, buffer) => {
          this.#read(buffer as Buffer, length);
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('the server closed the connection')));
  }

  /** Sends one request; `rest` goes out in slices, so that progress can be told while it runs. */
  send(first: Buffer, rest: Buffer | undefined): void {
    this.#busy = true;
    this.sentBytes = 0;
    if (rest === undefined) {
      this.#socket.write(first);
      return;
    }
    this.#socket.cork();
    this.#socket.write(first);
    this.#sendSlice(rest, 0);
    this.#socket.uncork();
  }

  close(): void {
    this.#busy = false;
    this.#socket.destroy();
  }

  #sendSlice(rest: Buffer, from: number): void {
    const to = Math.min(from + writeSliceBytes, rest.length);
    this.#socket.write(rest.subarray(from, to), () => {
      this.sentBytes = to;
      if (to < rest.length && this.#busy) this.#sendSlice(rest, to);
    });
  }

  #fail(error: Error): void {
    if (!this.#busy) return;
    this.#busy = false;
    this.#socket.destroy();
    this.#handler.failed(error);
  }

  #read(chunk: Buffer, length: number): void {
    let at = 0;
    while (at < length) {
      switch (this.#state) {
        case State.head:
          at = this.#readHead(chunk, at, length);
          break;
        case State.body: {
          const end = Math.min(length, at + this.#remaining);
          this.#handler.body(chunk, at, end);
          this.#remaining -= end - at;
          at = end;
          if (this.#remaining === 0) this.#finish();
          break;
        }
        case State.chunkData: {
          const end = Math.min(length, at + this.#remaining);
          this.#handler.body(chunk, at, end);
          this.#length += end - at;
          this.#remaining -= end - at;
          at = end;
          if (this.#remaining === 0) this.#state = State.chunkEnd;
          break;
        }
        default:
          at = this.#readLine(chunk, at, length);
      }
    }
  }

  #readHead(chunk: Buffer, at: number, length: number): number {
    if (this.#partialHead !== undefined) {
      // A head split over two reads is rare: joining them and starting over keeps the usual path short.
      const joined = Buffer.concat([this.#partialHead, chunk.subarray(at, length)]);
      this.#partialHead = undefined;
      this.#read(joined, joined.length);
      return length;
    }
    const end = chunk.indexOf(headEnd, at);
    if (end === -1 || end + 4 > length) {
      this.#partialHead = Buffer.from(chunk.subarray(at, length));
      return length;
    }
    const head = chunk.toString('latin1', at, end);
    this.#status = Number(head.slice(9, 12));
    this.#length = 0;
    const contentLength = contentLengthPattern.exec(head);
    if (contentLength !== null) {
      this.#length = Number(contentLength[1]);
      this.#remaining = this.#length;
      if (this.#remaining === 0) this.#finish();
      else this.#state = State.body;
    } else if (chunkedPattern.test(head)) {
      this.#state = State.chunkSize;
    } else {
      this.#finish();
    }
    return end + 4;
  }

  /** The lines around chunks: a size, the empty line after the data, the end of the trailer. */
  #readLine(chunk: Buffer, at: number, length: number): number {
    let position = at;
    while (position < length) {
      const byte = chunk[position] as number;
      position += 1;
      if (byte !== 10) {
        if (byte !== 13) this.#line += String.fromCharCode(byte);
        continue;
      }
      const line = this.#line;
      this.#line = '';
      if (this.#state === State.chunkEnd) {
        this.#state = State.chunkSize;
      } else if (this.#state === State.chunkSize) {
        this.#remaining = Number.parseInt(line, 16);
        this.#state = this.#remaining === 0 ? State.trailer : State.chunkData;
      } else if (line === '') {
        this.#finish();
      }
      return position;
    }
    return position;
  }

  #finish(): void {
    this.#state = State.head;
    this.#busy = false;
    this.#handler.answered(this.#status, this.#length);
  }
}
