// New connections while the primary is silent: node:cluster has the primary take them all, so each worker holds the listening
// socket as well, and takes connections itself while nothing is heard of the primary.
import { subscribe } from 'node:diagnostics_channel';
import { createServer, type Server, type Socket } from 'node:net';

/** A socket below a server, as Node passes it between processes. */
export interface ListeningHandle {
  close(): void;
}

const listening = new Map<number, ListeningHandle>();

/** In the primary, before the first worker: remembers what listens, for node:cluster tells nobody what it opens for workers. */
export function watchListening(): void {
  subscribe('tracing:net.server.listen:asyncEnd', (message) => {
    const { server } = message as { server: Server & { _handle?: ListeningHandle } };
    const address = server.address();
    if (typeof address === 'object' && address !== null && server._handle) listening.set(address.port, server._handle);
  });
}

/** What listens on this port, as long as anybody does. */
export function listeningOn(port: number): ListeningHandle | undefined {
  return listening.get(port);
}

/** Of connections that nobody has taken yet; whoever listens sets it anew, of a socket that listens already too. */
export const listenBacklog = 1024;

/** Of so many rounds the primary is heard in none: it is silent. */
const silentRounds = 2;

export interface StandbyOptions {
  /** Who serves what is taken. */
  readonly server: Server;
  /** The socket that was given is used up, and another is needed for the next time. */
  readonly ask: () => void;
  readonly onChange: (takes: boolean) => void;
}

/** A worker's side. `round` is to be called as often as the primary speaks. */
export class Standby {
  readonly #options: StandbyOptions;
  #handle: ListeningHandle | undefined;
  #taking: Server | undefined;
  #silent = 0;
  #ended = false;

  constructor(options: StandbyOptions) {
    this.#options = options;
  }

  give(handle: ListeningHandle | undefined): void {
    this.#handle?.close();
    this.#handle = this.#ended ? undefined : handle;
    if (this.#ended) handle?.close();
  }

  heard(): void {
    this.#silent = 0;
    if (this.#taking === undefined) return;
    this.#taking.close();
    this.#taking = undefined;
    this.#options.ask();
    this.#options.onChange(false);
  }

  /** For good: nothing is held any more that keeps the port open. What was taken goes on. */
  end(): void {
    this.#ended = true;
    this.#handle?.close();
    this.#handle = undefined;
    this.#taking?.close();
    this.#taking = undefined;
  }

  round(): void {
    this.#silent++;
    if (this.#silent <= silentRounds || this.#handle === undefined || this.#taking !== undefined) return;
    const { server, onChange } = this.#options;
    const taking = createServer({ allowHalfOpen: true, noDelay: true }, (socket: Socket) => {
      server.emit('connection', socket);
    });
    // It listens already; a connection that cannot be taken is its client's loss.
    taking.on('error', () => undefined);
    taking.listen(this.#handle, listenBacklog);
    this.#handle = undefined;
    this.#taking = taking;
    onChange(true);
  }
}
