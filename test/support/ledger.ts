// What each blob may be, as its only writer knows it: what was acknowledged, and what was on its way.

/** A blob's content is known by its number (see content.ts); `tag` is its one metadata value. */
export type BlobState = { readonly content: number; readonly bytes: number; readonly tag: string } | 'absent';

interface Step {
  readonly state: BlobState;
  readonly sentAt: number;
  ackedAt: number | undefined;
}

export type Acknowledge = () => void;

interface StagedBlock {
  readonly id: string;
  readonly ackedAt: number;
  committingAt: number;
}

export class Ledger {
  readonly #steps = new Map<string, Step[]>();
  readonly #blocks = new Map<string, StagedBlock[]>();
  readonly #now: () => number;

  /** `now` never goes back; the moments given to `allowedAt` are read from it. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A ledger that goes on from `moment`: what was open then is in doubt until it is settled. */
  static goingOn(from: Ledger, moment: number, now: () => number): Ledger {
    const ledger = new Ledger(now);
    for (const name of from.names()) {
      const [sure, ...open] = from.allowedAt(name, moment) as [BlobState, ...BlobState[]];
      const steps: Step[] = open.map((state) => ({ state, sentAt: -1, ackedAt: undefined }));
      ledger.#steps.set(name, [{ state: sure, sentAt: -1, ackedAt: -1 }, ...steps]);
    }
    return ledger;
  }

  names(): string[] {
    return [...this.#steps.keys()];
  }

  /** Every state that any operation was to bring about. */
  states(): BlobState[] {
    return [...this.#steps.values()].flat().map((step) => step.state);
  }

  get acknowledged(): number {
    let count = 0;
    for (const steps of this.#steps.values()) for (const step of steps) if (step.ackedAt !== undefined) count++;
    return count;
  }

  acknowledgedBefore(moment: number): number {
    let count = 0;
    for (const steps of this.#steps.values())
      for (const step of steps) if (step.ackedAt !== undefined && step.ackedAt <= moment) count++;
    return count;
  }

  /** When operations were acknowledged. */
  moments(): number[] {
    const steps = [...this.#steps.values()].flat();
    return steps.flatMap(({ ackedAt }) => (ackedAt === undefined || ackedAt < 0 ? [] : [ackedAt]));
  }

  /** Notes an operation about to be sent; call what it returns when the operation was acknowledged. */
  sending(name: string, state: BlobState): Acknowledge {
    const step: Step = { state, sentAt: this.#now(), ackedAt: undefined };
    const steps = this.#steps.get(name);
    if (steps === undefined) this.#steps.set(name, [step]);
    else steps.push(step);
    return () => {
      step.ackedAt = this.#now();
    };
  }

  /**
   * Every state the blob may be in at `moment`: the last acknowledged one, and those of later operations that had been
   * sent. One writer a name and one operation at a time, so an acknowledged operation ends all doubt before it.
   */
  allowedAt(name: string, moment: number): BlobState[] {
    let allowed: BlobState[] = ['absent'];
    for (const step of this.#steps.get(name) ?? []) {
      if (step.ackedAt !== undefined && step.ackedAt <= moment) allowed = [step.state];
      else if (step.sentAt < moment) allowed.push(step.state);
    }
    return allowed;
  }

  allowedNow(name: string): BlobState[] {
    return this.allowedAt(name, Number.POSITIVE_INFINITY);
  }

  /** The one state that is known for sure; throws while an operation is in doubt. */
  current(name: string): BlobState {
    const allowed = this.allowedNow(name);
    if (allowed.length !== 1) throw new Error(`${name} is in doubt between ${allowed.length} states`);
    return allowed[0] as BlobState;
  }

  inDoubt(name: string): boolean {
    return this.allowedNow(name).length > 1;
  }

  /** A block was acknowledged: it stays uncommitted until `committing` its name. */
  staged(name: string, id: string): void {
    const blocks = this.#blocks.get(name) ?? [];
    this.#blocks.set(name, blocks);
    blocks.push({ id, ackedAt: this.#now(), committingAt: Number.POSITIVE_INFINITY });
  }

  /** What is staged under the name is about to be committed. */
  committing(name: string): void {
    for (const block of this.#blocks.get(name) ?? [])
      if (block.committingAt === Number.POSITIVE_INFINITY) block.committingAt = this.#now();
  }

  /** The blocks that must be there, uncommitted, at `moment`. */
  stagedAt(name: string, moment: number): string[] {
    const blocks = this.#blocks.get(name) ?? [];
    return blocks
      .filter(({ ackedAt, committingAt }) => ackedAt <= moment && moment <= committingAt)
      .map(({ id }) => id);
  }

  /** A read showed which of the allowed states came to be. */
  settle(name: string, state: BlobState): void {
    this.sending(name, state)();
  }
}
