// Which request is worked on next: each account gets its share of a worker, whatever the others send.
//
// A request is in service from here to the end of its answer. While only one account asks, it may have as many in
// service as there are places. As soon as a second one does, each has its part of fewer places, and whoever has been
// served least goes first (fair queuing by virtual time: what a request cost is known when it is over). Requests that
// run at the pace of a slow client take no place: they cost nothing but their connection.

export interface AdmissionLimits {
  /** Weight in service at once, of one account that is alone. */
  readonly inServiceMax: number;
  /** Weight in service at once, of all accounts together, while several ask. */
  readonly contendedMax: number;
  /** Requests of one account that wait. */
  readonly queuedMax: number;
  /** How long one that finds no room even to wait is kept before it is told so: a flood of refusals is a flood too. */
  readonly refusalDelayMs: number;
}

export interface Asked {
  readonly account: string;
  /** One that counts for little: others are not contended by it, and it has a place or two. */
  readonly isMinor?: boolean;
  /** Bytes that the request announces. */
  readonly bytes: number;
  /** Bytes that have come and gone so far. */
  readonly moved: () => number;
  /** Nobody waits for the answer any more. */
  readonly isGone: () => boolean;
}

export interface Ticket {
  /** Once, when the answer is out or the client is gone. */
  leave(): void;
}

/** A request's share of the places: a large body takes the time of many small ones. */
const weightBytes = 128 * 1024;
const weightMax = 8;
/** What a request costs that moves no bytes, in bytes: the time of a worker that 4 KiB and 100 KiB differ in. */
const costOfRequest = 128 * 1024;
/** An account counts among those that ask for so long after its last request. */
const activeMs = 1000;
/** Weight in service of what counts for little. */
const minorMax = 4;
/** After this time it is looked at how fast a request goes. */
const slowAfterMs = 1000;
/** At less it is its client that is slow. */
const slowBytesPerS = 1024 * 1024;
const sweepMs = 250;

class Entry implements Ticket {
  readonly asked: Asked;
  readonly weight: number;
  readonly #owner: Admission;
  readonly share: Share;
  /** Set when it enters. */
  startedMs = -1;
  movedBefore = 0;
  takesPlace = false;
  isOver = false;
  resolve: ((ticket: Ticket | undefined) => void) | undefined;

  constructor(owner: Admission, asked: Asked, share: Share) {
    this.#owner = owner;
    this.asked = asked;
    this.share = share;
    this.weight = Math.min(weightMax, 1 + Math.floor(asked.bytes / weightBytes));
  }

  leave(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#owner.left(this);
  }
}

/** What one account has here. */
interface Share {
  readonly isMinor: boolean;
  readonly queue: Entry[];
  inService: number;
  /** Cost of what it was served, as virtual time. */
  served: number;
  lastMs: number;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #nowMs: () => number;
  /** Accounts that asked lately, or have requests here. */
  readonly #shares = new Map<string, Share>();
  readonly #waiting = new Set<Share>();
  /** In service and counted, in the order of their beginning; watched only while somebody waits. */
  readonly #counted = new Set<Entry>();
  #inService = 0;
  /** Virtual time of the account that was served last: nobody who comes back has saved up more than that. */
  #virtual = 0;
  #active = 0;
  #activeAtMs = Number.NEGATIVE_INFINITY;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(limits: AdmissionLimits, nowMs: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** At once where there is room. A promise of undefined is a refusal. */
  enter(asked: Asked): Ticket | Promise<Ticket | undefined> {
    const nowMs = this.#nowMs();
    const share = this.#share(asked, nowMs);
    const entry = new Entry(this, asked, share);
    if (share.queue.length === 0 && this.#hasRoom(share, entry.weight, nowMs)) {
      this.#begin(entry, nowMs, 0);
      return entry;
    }
    // Whoever went away keeps nobody out.
    if (share.queue.length >= this.#limits.queuedMax) this.#forgetGone(share);
    if (share.queue.length >= this.#limits.queuedMax) return this.#refuse();
    share.queue.push(entry);
    this.#waiting.add(share);
    this.#sweeper ??= setInterval(() => this.#sweep(), sweepMs).unref();
    return new Promise((resolve) => {
      entry.resolve = resolve;
    });
  }

  get inService(): number {
    return this.#inService;
  }

  get queued(): number {
    let queued = 0;
    for (const { queue } of this.#waiting) queued += queue.length;
    return queued;
  }

  /** Called by the ticket. */
  left(entry: Entry): void {
    const { share } = entry;
    share.served += entry.asked.moved() - entry.movedBefore + costOfRequest;
    this.#release(entry);
    if (this.#waiting.size > 0) this.#serveNext();
  }

  #release(entry: Entry): void {
    if (!entry.takesPlace) return;
    entry.takesPlace = false;
    this.#counted.delete(entry);
    entry.share.inService -= entry.weight;
    this.#inService -= entry.weight;
  }

  #begin(entry: Entry, nowMs: number, movedBefore: number): void {
    entry.startedMs = nowMs;
    entry.movedBefore = movedBefore;
    entry.takesPlace = true;
    this.#counted.add(entry);
    entry.share.inService += entry.weight;
    this.#inService += entry.weight;
  }

  /** Whoever has nothing in service may always begin one, however heavy: there is no account without a place. */
  #hasRoom(share: Share, weight: number, nowMs: number): boolean {
    const active = this.#activeShares(nowMs);
    if (share.isMinor) return share.inService === 0 || share.inService + weight <= minorMax;
    if (active <= 1) return share.inService === 0 || share.inService + weight <= this.#limits.inServiceMax;
    if (share.inService === 0) return true;
    return share.inService + weight <= Math.max(2, Math.floor(this.#limits.contendedMax / active));
  }

  #serveNext(): void {
    const nowMs = this.#nowMs();
    for (;;) {
      let next: Share | undefined;
      for (const share of this.#waiting) {
        if (next !== undefined && share.served >= next.served) continue;
        if (this.#hasRoom(share, (share.queue[0] as Entry).weight, nowMs)) next = share;
      }
      if (next === undefined) break;
      const entry = next.queue.shift() as Entry;
      if (next.queue.length === 0) this.#waiting.delete(next);
      if (entry.asked.isGone()) {
        entry.resolve?.(undefined);
        continue;
      }
      this.#virtual = Math.max(this.#virtual, next.served);
      next.lastMs = nowMs;
      this.#begin(entry, nowMs, entry.asked.moved());
      entry.resolve?.(entry);
    }
    if (this.#waiting.size === 0) {
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
    }
  }

  #forgetGone(share: Share): void {
    const staying = share.queue.filter(({ asked, resolve }) => {
      const isGone = asked.isGone();
      if (isGone) resolve?.(undefined);
      return !isGone;
    });
    if (staying.length === share.queue.length) return;
    share.queue.splice(0, share.queue.length, ...staying);
    if (staying.length === 0) this.#waiting.delete(share);
  }

  /** Requests that wait for their clients give their places to those that wait for places. */
  #sweep(): void {
    const nowMs = this.#nowMs();
    for (const share of this.#waiting) this.#forgetGone(share);
    for (const entry of this.#counted) {
      const elapsedMs = nowMs - entry.startedMs;
      if (elapsedMs < slowAfterMs) break;
      const moved = entry.asked.moved() - entry.movedBefore;
      if ((moved * 1000) / elapsedMs < slowBytesPerS) this.#release(entry);
    }
    this.#serveNext();
  }

  #share({ account, isMinor = false }: Asked, nowMs: number): Share {
    const found = this.#shares.get(account);
    if (found !== undefined) {
      if (found.inService === 0 && found.queue.length === 0) found.served = Math.max(found.served, this.#virtual);
      found.lastMs = nowMs;
      return found;
    }
    const made: Share = { isMinor, queue: [], inService: 0, served: this.#virtual, lastMs: nowMs };
    this.#shares.set(account, made);
    if (!isMinor) this.#activeAtMs = Number.NEGATIVE_INFINITY;
    return made;
  }

  /** Accounts that asked within the last second; the others are forgotten. Counted a few times a second. */
  #activeShares(nowMs: number): number {
    if (nowMs - this.#activeAtMs < activeMs / 4) return this.#active;
    let active = 0;
    for (const [account, share] of this.#shares) {
      const isIdle = share.inService === 0 && share.queue.length === 0 && nowMs - share.lastMs > activeMs;
      if (isIdle) this.#shares.delete(account);
      else if (!share.isMinor) active += 1;
    }
    this.#active = active;
    this.#activeAtMs = nowMs;
    return this.#active;
  }

  #refuse(): Promise<undefined> {
    return new Promise((resolve) => setTimeout(() => resolve(undefined), this.#limits.refusalDelayMs));
  }
}
