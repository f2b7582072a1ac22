// Processor time and memory of a server's whole process tree, read from /proc.
import { readdirSync, readFileSync } from 'node:fs';

/** The unit of /proc/PID/stat is fixed at 100 a second on every Linux that Node runs on. */
const ticksPerSecond = 100;
const sampleMs = 100;

/** A process and all its descendants, the process first. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = statFields(pid)?.[1];
    if (parent === undefined) continue;
    const siblings = children.get(Number(parent)) ?? [];
    siblings.push(pid);
    children.set(Number(parent), siblings);
  }
  const tree = [root];
  for (let at = 0; at < tree.length; at += 1) tree.push(...(children.get(tree[at] as number) ?? []));
  return tree;
}

export function cpuMs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    if (fields !== undefined) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return (ticks * 1000) / ticksPerSecond;
}

export interface MachineTime {
  readonly busyMs: number;
  /** What the host gave to other machines. */
  readonly stolenMs: number;
}

export function machineTime(): MachineTime {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = readOrEmpty('/proc/stat')
    .slice(0, 200)
    .split('\n', 1)
    .flatMap((first) => first.trim().split(/ +/).slice(1).map(Number));
  const unitMs = 1000 / ticksPerSecond;
  return { busyMs: (user + nice + system + irq + softirq) * unitMs, stolenMs: steal * unitMs };
}

export function alive(pid: number): boolean {
  const fields = statFields(pid);
  return fields !== undefined && fields[0] !== 'Z';
}

function residentBytes(pid: number): number {
  const kilobytes = /VmRSS:\s*(\d+)/.exec(readOrEmpty(`/proc/${pid}/status`))?.[1];
  return kilobytes === undefined ? 0 : Number(kilobytes) * 1024;
}

export interface MemoryPeak {
  treeBytes: number;
  processBytes: number;
}

/** Samples until stopped; shared pages count once for each process. */
export function watchMemory(pids: readonly number[]): { stop(): MemoryPeak } {
  const peak: MemoryPeak = { treeBytes: 0, processBytes: 0 };
  const sample = (): void => {
    const sizes = pids.map(residentBytes);
    peak.treeBytes = Math.max(
      peak.treeBytes,
      sizes.reduce((sum, size) => sum + size, 0),
    );
    peak.processBytes = Math.max(peak.processBytes, ...sizes);
  };
  sample();
  const timer = setInterval(sample, sampleMs);
  return {
    stop() {
      clearInterval(timer);
      sample();
      return peak;
    },
  };
}

/** The fields of /proc/PID/stat after the command's name, which may hold spaces: state first. */
function statFields(pid: number): string[] | undefined {
  const stat = readOrEmpty(`/proc/${pid}/stat`);
  if (stat === '') return undefined;
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // The process ended meanwhile.
  }
}
