// Whether a request is let in now: the share of its account, then the limits of account and principal.
import type { Random } from '../../base/random.ts';
import type { Principal } from '../../identity/authorize.ts';
import { sasSignature } from '../../identity/sas.ts';
import type { AccountSettings } from '../../namespace/records.ts';
import { Admission, type Asked, type Ticket } from '../http/admission.ts';
import { groupOf } from '../http/connections.ts';
import { type Rate, type RateOutcome, Rates } from '../http/rates.ts';
import { BlobError } from './errors.ts';

export interface GateSettings {
  /** The limits are those of all workers together. */
  readonly workers: number;
  readonly accountRequestsPerS: number;
  readonly accountBytesPerS: number;
  readonly principalRequestsPerS: number;
  readonly principalBytesPerS: number;
  readonly requestsInServiceMax: number;
  readonly requestsContendedMax: number;
  readonly requestsQueuedMax: number;
}

/** Who asks for what, as far as the gate wants to know. */
export interface Visitor {
  readonly account: string;
  readonly settings: AccountSettings | undefined;
  readonly principal: Principal;
  /** Of a SAS: its signature. */
  readonly signature: string | undefined;
  readonly address: string;
}

/** Those whom no account knows wait together, and not in the queue of the account that they name. */
const strangers = '?';
const refusalDelayMs = 100;
const retryAfterMaxS = 30;
/** How often what moves is charged. */
const meterMs = 250;

export class Gate {
  readonly #settings: GateSettings;
  readonly #random: Random;
  readonly #nowMs: () => number;
  readonly admission: Admission;
  readonly #accounts = new Rates();
  readonly #principals = new Rates();
  readonly #principalRate: Rate;
  /** Of those that are limited. */
  readonly #moving = new Set<Moving>();
  #meter: NodeJS.Timeout | undefined;

  constructor(settings: GateSettings, random: Random, nowMs: () => number = () => performance.now()) {
    this.#settings = settings;
    this.#random = random;
    this.#nowMs = nowMs;
    this.#principalRate = this.#share(settings.principalRequestsPerS, settings.principalBytesPerS);
    const { requestsInServiceMax: inServiceMax, requestsContendedMax: contendedMax } = settings;
    const limits = { inServiceMax, contendedMax, queuedMax: settings.requestsQueuedMax, refusalDelayMs };
    this.admission = new Admission(limits, nowMs);
  }

  visit(request: Omit<Asked, 'account'>, isUpload: boolean): Visit {
    return new Visit(this, request, isUpload);
  }

  /** What the account has of a second, in this worker. */
  rateOf(settings: AccountSettings | undefined): Rate {
    const { accountRequestsPerS, accountBytesPerS } = this.#settings;
    return this.#share(settings?.requestsPerS ?? accountRequestsPerS, settings?.bytesPerS ?? accountBytesPerS);
  }

  /** Throws ServerBusy. Answers the names that the bytes are charged to. */
  take(visitor: Visitor, isUpload: boolean): Charged {
    const accountRate = this.rateOf(visitor.settings);
    const isPrincipalUnlimited = isUnlimited(this.#principalRate);
    if (isPrincipalUnlimited && isUnlimited(accountRate)) return nobody;
    const nowMs = this.#nowMs();
    const ofAccount = this.#accounts.take(visitor.account, accountRate, nowMs);
    if (ofAccount.kind === 'over') throw this.#busy(ofAccount, isUpload);
    if (isPrincipalUnlimited) return { account: visitor.account, principal: undefined };
    const principal = nameOf(visitor);
    const ofPrincipal = this.#principals.take(principal, this.#principalRate, nowMs);
    if (ofPrincipal.kind === 'over') {
      this.#accounts.giveBack(visitor.account);
      throw this.#busy(ofPrincipal, isUpload);
    }
    return { account: visitor.account, principal };
  }

  countRequest({ account, principal }: Charged): void {
    if (account !== undefined) this.#accounts.charge(account, 1, 0);
    if (principal !== undefined) this.#principals.charge(principal, 1, 0);
  }

  /** Before they move; `settle` evens it out. */
  begin(moving: Moving, bytes: number): void {
    const { account, principal } = moving.charged;
    if (account !== undefined) moving.ofAccount = this.#accounts.chargeAhead(account, bytes);
    if (principal !== undefined) moving.ofPrincipal = this.#principals.chargeAhead(principal, bytes);
    this.#moving.add(moving);
    this.#meter ??= setInterval(() => {
      for (const each of this.#moving) this.#settle(each, false);
    }, meterMs).unref();
  }

  end(moving: Moving): void {
    this.#moving.delete(moving);
    this.#settle(moving, true);
    if (this.#moving.size > 0) return;
    clearInterval(this.#meter);
    this.#meter = undefined;
  }

  /** Charges what moved; at the end what was charged ahead and did not move is given back. */
  #settle(moving: Moving, isOver: boolean): void {
    const { account, principal } = moving.charged;
    const moved = moving.moved();
    if (account !== undefined && (isOver || moved > moving.ofAccount)) {
      this.#accounts.charge(account, 0, moved - moving.ofAccount);
      moving.ofAccount = moved;
    }
    if (principal !== undefined && (isOver || moved > moving.ofPrincipal)) {
      this.#principals.charge(principal, 0, moved - moving.ofPrincipal);
      moving.ofPrincipal = moved;
    }
  }

  #busy(over: Extract<RateOutcome, { kind: 'over' }>, isUpload: boolean): BlobError {
    const what = over.what === 'requests' ? 'Operations per second is' : isUpload ? 'Ingress is' : 'Egress is';
    return busy(`${what} over the account limit.`, over.waitMs, this.#random);
  }

  full(): BlobError {
    return busy('Too many requests of this account are waiting.', 1000, this.#random);
  }

  #share(requestsPerS: number, bytesPerS: number): Rate {
    const { workers } = this.#settings;
    return { requestsPerS: requestsPerS / workers, bytesPerS: bytesPerS / workers };
  }
}

interface Charged {
  readonly account: string | undefined;
  readonly principal: string | undefined;
}

/** Whose bytes are counted as they move, and how many each was charged so far. */
interface Moving {
  readonly charged: Charged;
  readonly moved: () => number;
  ofAccount: number;
  ofPrincipal: number;
}

const nobody: Charged = { account: undefined, principal: undefined };

const isUnlimited = ({ requestsPerS, bytesPerS }: Rate): boolean => requestsPerS === 0 && bytesPerS === 0;

/** One request's stay: from being let in to its answer being out. */
export class Visit {
  readonly #gate: Gate;
  readonly #request: Omit<Asked, 'account'>;
  readonly #isUpload: boolean;
  #ticket: Ticket | undefined;
  #charged: Charged = nobody;
  #moving: Moving | undefined;

  constructor(gate: Gate, request: Omit<Asked, 'account'>, isUpload: boolean) {
    this.#gate = gate;
    this.#request = request;
    this.#isUpload = isUpload;
  }

  /** Throws ServerBusy; nothing to wait for where there is room. */
  enter(visitor: Visitor): undefined | Promise<void> {
    const entered = this.#gate.admission.enter({ ...this.#request, account: visitor.account });
    if (entered instanceof Promise) {
      return entered.then((ticket) => {
        if (ticket === undefined) throw this.#gate.full();
        this.#begin(ticket, visitor);
      });
    }
    this.#begin(entered, visitor);
    return undefined;
  }

  /** Before somebody is refused whom nothing has let in: refusals are work too. False: there is no room even for that. */
  async enterAsStranger(): Promise<boolean> {
    if (this.#ticket !== undefined) return true;
    this.#ticket = await this.#gate.admission.enter({ ...this.#request, account: strangers, isMinor: true });
    return this.#ticket !== undefined;
  }

  get isIn(): boolean {
    return this.#ticket !== undefined;
  }

  /** A request within this one. */
  countPart(): void {
    this.#gate.countRequest(this.#charged);
  }

  leave(): void {
    this.#ticket?.leave();
    if (this.#moving === undefined) return;
    this.#gate.end(this.#moving);
    this.#moving = undefined;
  }

  #begin(ticket: Ticket, visitor: Visitor): void {
    this.#ticket = ticket;
    this.#charged = this.#gate.take(visitor, this.#isUpload);
    if (this.#charged === nobody) return;
    this.#moving = { charged: this.#charged, moved: this.#request.moved, ofAccount: 0, ofPrincipal: 0 };
    // Some of what is announced is charged now, or a hundred large uploads would begin before the first has paid.
    this.#gate.begin(this.#moving, this.#request.bytes);
  }
}

function busy(message: string, waitMs: number, random: Random): BlobError {
  // Not all at the same moment again.
  const seconds = Math.min(retryAfterMaxS, Math.ceil(waitMs / 1000)) + random.below(3);
  return new BlobError('ServerBusy', {}, message, { 'Retry-After': `${Math.max(1, seconds)}` });
}

function nameOf({ account, principal, signature, address }: Visitor): string {
  switch (principal.kind) {
    case 'account-key':
      return `key ${principal.account}`;
    case 'sas':
      // By its bytes: a text may be written in several ways.
      return `sas ${account} ${sasSignature(signature ?? '')?.toString('base64')}`;
    case 'entra':
      return `entra ${principal.tid} ${principal.oid}`;
    case 'anonymous':
      return `address ${groupOf(address)}`;
  }
}
