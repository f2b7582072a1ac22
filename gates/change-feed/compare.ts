// What the feed says against what was done: each acknowledged change once, in the order of its blob.
import type { Chain, Done, Load, Sdk } from './load.ts';

/** Throws at the first difference; answers in one line what was compared. */
export function compare(load: Load, container: string, events: readonly Sdk[]): string {
  const ids = new Set<string>();
  const byBlob = new Map<string, Sdk[]>();
  for (const event of events) {
    if (ids.has(event.id)) throw new Error(`the event ${event.id} is there twice`);
    ids.add(event.id);
    const of = byBlob.get(event.subject);
    if (of === undefined) byBlob.set(event.subject, [event]);
    else of.push(event);
  }
  let acknowledged = 0;
  for (const chain of load.chains) {
    const subject = `/blobServices/default/containers/${container}/blobs/${chain.name}`;
    compareChain(chain, byBlob.get(subject) ?? []);
    byBlob.delete(subject);
    acknowledged += chain.done.length;
  }
  const [other] = byBlob.keys();
  if (other !== undefined) throw new Error(`events of what was not changed: ${other}`);
  const inDoubt = load.chains.reduce((sum, chain) => sum + chain.inDoubt, 0);
  return `${events.length} events of ${acknowledged} acknowledged changes, and of ${inDoubt} that the crash cut off`;
}

interface Group {
  readonly requestId: string;
  readonly events: Sdk[];
}

function compareChain(chain: Chain, events: readonly Sdk[]): void {
  const fail = (what: string): never => {
    throw new Error(`${chain.name}: ${what}`);
  };
  // One request may make several events: a delete that takes snapshots with it.
  const groups: Group[] = [];
  for (const [i, event] of events.entries()) {
    const before = events[i - 1];
    if (before !== undefined) {
      if (event.data.sequencer <= before.data.sequencer) fail(`the sequencer goes from ${before.data.sequencer} back`);
      if (event.eventTime < before.eventTime) fail('the times of its events go back');
    }
    const { requestId } = event.data;
    const last = groups.at(-1);
    if (last !== undefined && last.requestId === requestId) last.events.push(event);
    else groups.push({ requestId, events: [event] });
  }
  let extra = 0;
  let next = 0;
  for (const group of groups) {
    const done = chain.done[next];
    if (done !== undefined && done.requestId === group.requestId) {
      next++;
      compareGroup(done, group, fail);
    } else if (chain.done.some(({ requestId }) => requestId === group.requestId)) {
      fail(`the events of ${group.requestId} are not where they belong, behind ${next} changes`);
    } else extra++;
  }
  if (next < chain.done.length) fail(`no event of the ${next + 1}th change, a ${chain.done[next]?.api}`);
  if (extra > chain.inDoubt) fail(`${extra} changes that nobody asked for`);
}

function compareGroup(done: Done, { events }: Group, fail: (what: string) => never): void {
  if (done.events !== undefined && events.length !== done.events) {
    fail(`${events.length} events of a ${done.api}, and not ${done.events}`);
  }
  for (const { eventType, data } of events) {
    if (eventType !== done.type) fail(`a ${done.api} is a ${eventType}`);
    if (data.api !== done.api) fail(`a ${done.api} is told as ${data.api}`);
    if (data.blobType !== 'BlockBlob') fail(`its type is ${data.blobType}`);
    if (done.etag !== undefined && data.etag !== done.etag) fail(`its ETag is told as ${data.etag}`);
    if (done.length !== undefined && data.contentLength !== done.length) {
      fail(`its length of ${done.length} is told as ${data.contentLength}`);
    }
  }
}
