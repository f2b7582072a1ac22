// The servers of one run: started together, measured in turns, brought back if one dies.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import {
  azuriteDeleteNames,
  azuriteFillMs,
  blockBytes,
  blocks,
  type Case,
  fillPlan,
  manyNames,
  nameBytes,
  planOf,
  preloaded,
  type Scale,
  sealedSuffix,
} from './cases.ts';
import type { NameSet } from './job.ts';
import type { Load, Measurement } from './load.ts';
import { alive } from './process-tree.ts';
import { makeScope, type Server, type ServerName, type StartOptions, settle, startServer } from './servers.ts';

export interface FleetOptions {
  readonly names: readonly ServerName[];
  readonly folder: string;
  readonly workers: number;
  readonly causewayArguments: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** The encryption scope of containers whose names have the suffix. */
const scope = 'bench';
const settleMs = 10_000;
const fillMs = 600_000;

export class Fleet {
  readonly #options: FleetOptions;
  readonly #load: Load;
  readonly #scale: Scale;
  readonly #servers = new Map<ServerName, Server>();
  readonly #held = new Map<ServerName, number>();
  readonly #filled = new Set<string>();
  #hasScope = false;

  constructor(options: FleetOptions, load: Load, scale: Scale) {
    this.#options = options;
    this.#load = load;
    this.#scale = scale;
  }

  get names(): readonly ServerName[] {
    return this.#options.names;
  }

  startOptions(name: ServerName): StartOptions {
    const { folder, workers, causewayArguments, environment = {} } = this.#options;
    return { folder: join(folder, name), workers, causewayArguments, environment };
  }

  /** The running server, alone on the machine: Azurite, which saves its whole database every five seconds, stands still meanwhile. */
  async turn(name: ServerName): Promise<Server> {
    let server = this.#servers.get(name);
    if (server !== undefined && !alive(server.pids[0] as number)) {
      await server.kill();
      server = undefined;
    }
    server ??= await startServer(name, this.startOptions(name));
    server.refresh();
    this.#servers.set(name, server);
    for (const [other, each] of this.#servers) {
      if (other === name) each.release();
      else if (other === 'azurite') each.hold();
    }
    return server;
  }

  adopt(name: ServerName, server: Server): void {
    this.#servers.set(name, server);
  }

  /** How many of the many names a server holds, once they were loaded. */
  held(name: ServerName): number | undefined {
    return this.#held.get(name);
  }

  heldNames(name: ServerName): NameSet {
    return manyNames(this.#held.get(name) ?? this.#scale.listNames);
  }

  /** Loads what the case reads, the first time that it is needed. */
  async preload(name: ServerName, one: Case): Promise<void> {
    if (name === 'bare') return;
    const key = `${name} ${one.kind === 'mixed' ? 'get' : one.kind} ${one.sizeBytes}${one.sealed ? sealedSuffix : ''}`;
    if (this.#filled.has(key)) return;
    if (one.kind === 'list') {
      await this.fillNames(name);
    } else if (one.kind === 'get' || one.kind === 'mixed') {
      const names = preloaded(this.#scale, one.sizeBytes, one.sealed);
      await this.#fill(name, names, one.sizeBytes, fillMs);
    }
    this.#filled.add(key);
  }

  async fillNames(name: ServerName): Promise<void> {
    if (this.#held.has(name)) return;
    const names = manyNames(this.#scale.listNames);
    this.#held.set(name, await this.#fill(name, names, nameBytes, name === 'azurite' ? azuriteFillMs : fillMs));
  }

  /** One round of one case on one server. */
  async measure(name: ServerName, one: Case, round: number): Promise<Measurement> {
    const server = await this.turn(name);
    await this.preload(name, one);
    const container = `${one.name}-r${round}`;
    const writes = one.kind !== 'get' && one.kind !== 'list';
    if (writes) await this.#createContainer(server, container);
    let names = one.kind === 'list' ? this.heldNames(name) : preloaded(this.#scale, one.sizeBytes, one.sealed);
    if (one.kind === 'delete') {
      const count =
        name === 'azurite' ? Math.min(azuriteDeleteNames, this.#scale.deleteNames) : this.#scale.deleteNames;
      names = { container, first: 0, count, stride: 1 };
      if (name !== 'bare') await this.#fill(name, names, one.sizeBytes, fillMs);
    }
    if (one.kind === 'put-block-list') {
      const common = { warmMs: 0, measureMs: fillMs, operationsMax: Number.MAX_SAFE_INTEGER };
      const { connections } = one;
      expectRight(
        await this.#load.run(server, { ...common, kind: 'stage', container, connections, blocks, blockBytes }),
      );
    }
    await settle(server, settleMs);
    const result = await this.#load.run(server, planOf(one, this.#scale, container, names));
    if (writes) {
      if (name !== 'bare') await this.#load.deleteContainer(server, container);
      // What a server left in the page cache is written out now, not on the next one's time.
      spawnSync('sync', { timeout: 120_000 });
      await settle(server, settleMs);
    }
    return result;
  }

  async #createContainer(server: Server, container: string): Promise<void> {
    const isSealed = container.includes(sealedSuffix);
    if (isSealed && !this.#hasScope) {
      makeScope(this.startOptions(server.name), scope);
      this.#hasScope = true;
    }
    await this.#load.createContainer(server, container, isSealed ? scope : undefined);
  }

  async stop(name: ServerName): Promise<void> {
    const server = this.#servers.get(name);
    this.#servers.delete(name);
    if (server === undefined) return;
    server.release();
    await server.stop();
  }

  async stopAll(): Promise<void> {
    for (const name of [...this.#servers.keys()]) await this.stop(name);
  }

  async #fill(name: ServerName, names: NameSet, sizeBytes: number, timeMs: number): Promise<number> {
    const server = await this.turn(name);
    await this.#createContainer(server, names.container);
    const result = expectRight(await this.#load.run(server, fillPlan(names, sizeBytes, 0, timeMs)));
    return Math.min(names.count, Math.floor(result.operations));
  }
}

export function expectRight(result: Measurement): Measurement {
  if (result.errors > 0) throw new Error(`${result.errors} wrong answers, the first: ${result.firstError}`);
  return result;
}
