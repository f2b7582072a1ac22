// Work that takes longer than a connection may be silent: the client is not cut meanwhile, and its going away ends the work.
import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Runs work whose pace is not the client's, and that has bounds of its own. The signal aborts when the client goes away, and
 * when its answer is over: what the work left running ends with it.
 */
export type Hold = <T>(work: (gone: AbortSignal) => Promise<T>) => Promise<T>;

/** Nobody is held for work that is over soon, or that nobody waits for on a connection. */
export const holdNobody: Hold = (work) => work(new AbortController().signal);

/** One for all: each of its own would note where it was made, which costs more than the rest. */
const over = new DOMException('the client went away, or its answer is over', 'AbortError');

export function holdOpen(request: IncomingMessage, response: ServerResponse): Hold {
  return async (work) => {
    const { socket } = request;
    const timeoutMs = socket.timeout ?? 0;
    const controller = new AbortController();
    const leave = (): void => controller.abort(over);
    if (response.destroyed || socket.destroyed) leave();
    response.once('close', leave);
    socket.setTimeout(0);
    try {
      return await work(controller.signal);
    } finally {
      socket.setTimeout(timeoutMs);
    }
  };
}
