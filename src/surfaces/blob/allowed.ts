// What a decision allows, and what of it is decided again where the blob is opened.
import type { Permit } from '../../namespace/states.ts';

/** What was decided, and what of it is to be decided again where the blob is opened. */
export interface Allowed {
  /** The caller may make what is not there, and not replace what is. */
  readonly onlyIfNew: boolean;
  /** Absent where the decision did not depend on the blob. */
  readonly permit?: Permit;
}

/** Both of them hold. */
export function bothAllowed(one: Allowed, other: Allowed): Allowed {
  const permit = allOf([one.permit, other.permit].filter((permit) => permit !== undefined));
  return { onlyIfNew: one.onlyIfNew || other.onlyIfNew, ...(permit && { permit }) };
}

function allOf(permits: readonly Permit[]): Permit | undefined {
  if (permits.length < 2) return permits[0];
  return (facts) => {
    const verdicts = permits.map((permit) => permit(facts));
    if (verdicts.includes('denied')) return 'denied';
    return verdicts.includes('only-if-new') ? 'only-if-new' : 'allowed';
  };
}
