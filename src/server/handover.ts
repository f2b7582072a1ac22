// Connections on their way to a worker: one that its worker died before taking goes to another worker, or ends.
import type { Worker } from 'node:cluster';

/** What node:cluster says between its processes, as far as it is needed here (lib/internal/cluster of the pinned Node). */
interface ClusterMessage {
  readonly cmd?: string;
  readonly act?: string;
  readonly seq?: number;
  readonly ack?: number;
  readonly accepted?: boolean;
}

interface Handle {
  close(): void;
}

/**
 * node:cluster hands a worker one connection at a time and waits for its word. Of a worker that dies before it, the
 * connection would stay open for ever with nobody at its end. `others` says whether another worker listens.
 */
export function watchHandover(worker: Worker, others: () => boolean): void {
  const child = worker.process;
  let onItsWay: { readonly seq: number; readonly handle: Handle } | undefined;
  const send = child.send.bind(child) as (...given: unknown[]) => boolean;
  child.send = (message: ClusterMessage, handle?: unknown, ...more: unknown[]): boolean => {
    if (message.act === 'newconn' && message.seq !== undefined && handle) {
      onItsWay = { seq: message.seq, handle: handle as Handle };
    }
    return send(message, handle, ...more);
  };
  child.on('internalMessage', (message: ClusterMessage) => {
    if (message.ack === onItsWay?.seq) onItsWay = undefined;
  });
  let isDisconnected = false;
  // While a handle is not acknowledged Node waits with 'disconnect', for ever if the process is gone.
  child.once('close', () => {
    if (!isDisconnected) child.emit('disconnect');
  });
  // The channel is read to its end by now: the worker has not taken it, and has not read a byte of it.
  worker.once('disconnect', () => {
    isDisconnected = true;
    if (onItsWay === undefined) return;
    const { seq, handle } = onItsWay;
    if (others()) child.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack: seq, accepted: false });
    else handle.close();
  });
}
