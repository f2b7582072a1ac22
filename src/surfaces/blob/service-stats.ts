// Get Blob Service Stats: of replication to a second place, which is told at that place's address only.
import type { Answer } from '../http/answer.ts';
import { queryError } from './list-parameters.ts';

/** No account here has a second place, so every address is a primary one, and there the service knows no such operation. */
export async function getServiceStats(): Promise<Answer> {
  throw queryError('comp', 'stats', 'It is answered at the secondary address only.');
}
