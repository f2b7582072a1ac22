// Which workers answer: each is asked again and again, and one that is silent for too long hangs.

export interface HeartbeatOptions<Peer> {
  /** Time between two rounds. */
  readonly intervalMs: number;
  /** A peer that answers none of so many rounds in a row hangs. */
  readonly roundsMax: number;
  readonly nowMs: () => number;
  readonly ask: (peer: Peer) => void;
  /** Called once for a peer; it is asked no more. */
  readonly onHung: (peer: Peer) => void;
}

/** A peer that answers none of so many rounds in a row does not count as one that serves. */
const silentRounds = 3;

/**
 * Only a round that begins on time counts against those that are silent: when this process was stopped itself, or gets
 * no turn of the processor, its peers did not fail to answer. Time in which the machine sleeps counts for nothing.
 */
export class Heartbeats<Peer> {
  readonly #options: HeartbeatOptions<Peer>;
  readonly #unanswered = new Map<Peer, number>();
  #lastMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HeartbeatOptions<Peer>) {
    this.#options = options;
    this.#lastMs = options.nowMs();
  }

  start(): void {
    this.#lastMs = this.#options.nowMs();
    this.#timer ??= setInterval(() => this.round(), this.#options.intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Until it is heard for the first time it has some rounds more. */
  add(peer: Peer, moreRounds = 0): void {
    this.#unanswered.set(peer, -moreRounds);
  }

  remove(peer: Peer): void {
    this.#unanswered.delete(peer);
  }

  heard(peer: Peer): void {
    if (this.#unanswered.has(peer)) this.#unanswered.set(peer, 0);
  }

  answers(peer: Peer): boolean {
    return (this.#unanswered.get(peer) ?? silentRounds) < silentRounds;
  }

  /** Called by the timer. */
  round(): void {
    const { intervalMs, roundsMax, nowMs, ask, onHung } = this.#options;
    const now = nowMs();
    const isOnTime = now - this.#lastMs < 2 * intervalMs;
    this.#lastMs = now;
    for (const [peer, unanswered] of this.#unanswered) {
      if (isOnTime) this.#unanswered.set(peer, unanswered + 1);
      if (unanswered >= roundsMax && isOnTime) {
        this.#unanswered.delete(peer);
        onHung(peer);
      } else ask(peer);
    }
  }
}
