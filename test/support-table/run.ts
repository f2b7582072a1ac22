// Writes docs/blob-api.md.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { operations } from '../../src/surfaces/blob/operations.ts';
import { writeDocument } from './document.ts';

writeFileSync(join(import.meta.dirname, '..', '..', 'docs', 'blob-api.md'), writeDocument(operations));
