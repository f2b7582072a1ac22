// A process of its own that floods a server: `startLoad` with what comes on its standard input, until that ends.
import { startLoad } from './raw-load.ts';

interface FloodOrder {
  readonly host: string;
  readonly port: number;
  /** The head of each connection's request; all have a body of the same size. */
  readonly heads: readonly string[];
  readonly bodyBytes: number;
}

let load: ReturnType<typeof startLoad> | undefined;
let text = '';
process.stdin.setEncoding('utf8');
process.stdin.on('data', (chunk: string) => {
  text += chunk;
  const end = text.indexOf('\n');
  if (end === -1 || load !== undefined) return;
  const { heads, bodyBytes, ...to } = JSON.parse(text.slice(0, end)) as FloodOrder;
  load = startLoad({ ...to, heads, body: Buffer.alloc(bodyBytes, 7) });
});
process.stdin.on('end', () => {
  load?.stop();
  process.stdout.write(`${JSON.stringify(load?.counts ?? {})}\n`);
});
