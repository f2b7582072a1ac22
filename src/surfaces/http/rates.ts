// Token buckets: how many requests and bytes a second somebody may have, with bursts, in bounded memory.

export interface Rate {
  /** 0 is no limit. */
  readonly requestsPerS: number;
  readonly bytesPerS: number;
}

export type RateOutcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'over'; readonly what: 'requests' | 'bytes'; readonly waitMs: number };

/**
 * What was saved up may be spent at once: clients that are refused together come back together (the SDKs after 4 and 12
 * seconds, without a look at Retry-After), and a bucket of one second would refuse most of them until they give up.
 */
const burstS = 3;
const ok: RateOutcome = { kind: 'ok' };

class Bucket {
  #tokens: number;
  #atMs: number;

  constructor(perS: number, nowMs: number) {
    this.#tokens = Bucket.room(perS);
    this.#atMs = nowMs;
  }

  static room(perS: number): number {
    return Math.max(1, perS * burstS);
  }

  fill(perS: number, nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#atMs);
    this.#atMs = nowMs;
    this.#tokens = Math.min(Bucket.room(perS), this.#tokens + (elapsedMs * perS) / 1000);
  }

  /** 0: there is a whole token. */
  waitMs(perS: number, least: number): number {
    return this.#tokens >= least ? 0 : Math.ceil(((least - this.#tokens) * 1000) / perS);
  }

  /** May leave a debt: what is larger than the bucket is let through and paid for by those that follow. */
  take(count: number): void {
    this.#tokens -= count;
  }

  isFull(perS: number): boolean {
    return this.#tokens >= Bucket.room(perS);
  }
}

interface Holder {
  rate: Rate;
  readonly requests: Bucket;
  readonly bytes: Bucket;
}

/** The buckets of many holders (accounts, or principals). */
export class Rates {
  readonly #holders = new Map<string, Holder>();
  readonly #holdersMax: number;

  constructor(holdersMax = 10_000) {
    this.#holdersMax = holdersMax;
  }

  /** Takes one request of the holder if neither its requests nor its bytes are spent; bytes are charged when they are known. */
  take(name: string, rate: Rate, nowMs: number): RateOutcome {
    if (rate.requestsPerS === 0 && rate.bytesPerS === 0) return ok;
    const holder = this.#holder(name, rate, nowMs);
    const { requestsPerS, bytesPerS } = rate;
    if (requestsPerS !== 0) {
      holder.requests.fill(requestsPerS, nowMs);
      const waitMs = holder.requests.waitMs(requestsPerS, 1);
      if (waitMs > 0) return { kind: 'over', what: 'requests', waitMs };
    }
    if (bytesPerS !== 0) {
      holder.bytes.fill(bytesPerS, nowMs);
      const waitMs = holder.bytes.waitMs(bytesPerS, 1);
      if (waitMs > 0) return { kind: 'over', what: 'bytes', waitMs };
    }
    if (requestsPerS !== 0) holder.requests.take(1);
    return ok;
  }

  /** Gives back what `take` took, where another limit refused the request after all. */
  giveBack(name: string): void {
    this.charge(name, -1, 0);
  }

  charge(name: string, requests: number, bytes: number): void {
    const holder = this.#holders.get(name);
    if (holder === undefined) return;
    if (holder.rate.requestsPerS !== 0) holder.requests.take(requests);
    if (holder.rate.bytesPerS !== 0) holder.bytes.take(bytes);
  }

  /** Takes what somebody announces, but no more than a full bucket: nobody can owe for bytes that never move. */
  chargeAhead(name: string, bytes: number): number {
    const holder = this.#holders.get(name);
    if (holder === undefined || holder.rate.bytesPerS === 0) return 0;
    const charged = Math.min(bytes, Bucket.room(holder.rate.bytesPerS));
    holder.bytes.take(charged);
    return charged;
  }

  get size(): number {
    return this.#holders.size;
  }

  #holder(name: string, rate: Rate, nowMs: number): Holder {
    const found = this.#holders.get(name);
    if (found !== undefined) {
      found.rate = rate;
      return found;
    }
    if (this.#holders.size >= this.#holdersMax) this.#makeRoom(nowMs);
    const made = {
      rate,
      requests: new Bucket(rate.requestsPerS, nowMs),
      bytes: new Bucket(rate.bytesPerS, nowMs),
    };
    this.#holders.set(name, made);
    return made;
  }

  /** Who has a full bucket loses nothing by being forgotten. If too few have, those longest known go, many at a time. */
  #makeRoom(nowMs: number): void {
    for (const [name, { rate, requests, bytes }] of this.#holders) {
      requests.fill(rate.requestsPerS, nowMs);
      bytes.fill(rate.bytesPerS, nowMs);
      if (requests.isFull(rate.requestsPerS) && bytes.isFull(rate.bytesPerS)) this.#holders.delete(name);
    }
    for (const name of this.#holders.keys()) {
      if (this.#holders.size < this.#holdersMax * 0.9) break;
      this.#holders.delete(name);
    }
  }
}
