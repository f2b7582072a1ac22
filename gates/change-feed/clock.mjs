// Loaded into the server's processes by this gate: its hours pass when the gate says so. A file says by how many
// milliseconds the clock is ahead.
import { readFileSync } from 'node:fs';

const path = process.env.CAUSEWAY_GATE_CLOCK;
const systemNow = Date.now.bind(Date);
let aheadMs = 0;

function look() {
  const text = readFileSync(path, 'utf8');
  // Empty while it is written.
  if (text !== '') aheadMs = Number(text);
}

if (path !== undefined) {
  look();
  setInterval(look, 100).unref();
  Date.now = () => systemNow() + aheadMs;
}
