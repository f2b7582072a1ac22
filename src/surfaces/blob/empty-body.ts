// The body of a request that cannot have one: a part of a batch.
import type { RequestBody } from '../http/body.ts';

const nothing: AsyncIterator<Buffer> = { next: async () => ({ done: true, value: undefined }) };

export const emptyBody = {
  bytes: 0,
  [Symbol.asyncIterator]: () => nothing,
  whole: async () => Buffer.alloc(0),
  drain: async () => true,
  failAfter: () => undefined,
} as unknown as RequestBody;
