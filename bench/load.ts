// Drives the client process and measures the server while it runs: one job in, figures of both sides out.
import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { accountSas } from './account-sas.ts';
import type { ClientMessage, Job, JobResult } from './job.ts';
import { cpuMs, machineTime, watchMemory } from './process-tree.ts';
import { head } from './request.ts';
import type { Server } from './servers.ts';

export interface Measurement extends JobResult {
  readonly serverCpuMs: number;
  /** What everything else on the machine took, and what its host took from it, as a share of all its processors. */
  readonly othersShare: number;
  readonly memoryTreeBytes: number;
  readonly memoryProcessBytes: number;
}

type Distributed<T> = T extends unknown ? Omit<T, 'port' | 'sas' | 'stamped'> : never;
/** A job without what follows from the server that it is sent to. */
export type JobPlan = Distributed<Job>;

const graceMs = 60_000;

export class Load implements Disposable {
  readonly #client: ChildProcess;
  readonly #sas = accountSas();

  constructor() {
    this.#client = fork(join(import.meta.dirname, 'client.ts'));
  }

  /** Runs one job; throws when the client dies or does not answer long after the job's time. */
  async run(server: Server, plan: JobPlan): Promise<Measurement> {
    const job = { ...plan, port: server.port, sas: this.#sas, stamped: server.name !== 'bare' } as Job;
    const memory = watchMemory(server.pids);
    let cpuBefore = cpuMs(server.pids);
    let cpuAfter = cpuBefore;
    let machineBefore = machineTime();
    let machineAfter = machineBefore;
    const answer = Promise.withResolvers<JobResult>();
    const onMessage = (message: ClientMessage): void => {
      switch (message.kind) {
        case 'window-open':
          cpuBefore = cpuMs(server.pids);
          machineBefore = machineTime();
          break;
        case 'window-closed':
          cpuAfter = cpuMs(server.pids);
          machineAfter = machineTime();
          break;
        case 'result':
          answer.resolve(message.result);
      }
    };
    const onExit = (): void => answer.reject(new Error(`the client ended in ${plan.kind} on ${server.name}`));
    const timer = setTimeout(
      () => answer.reject(new Error(`no answer from the client in ${plan.kind} on ${server.name}`)),
      plan.warmMs + plan.measureMs + graceMs,
    );
    this.#client.on('message', onMessage).on('exit', onExit).send(job);
    try {
      const result = await answer.promise;
      const peak = memory.stop();
      const serverCpuMs = cpuAfter - cpuBefore;
      const busyMs = machineAfter.busyMs - machineBefore.busyMs + machineAfter.stolenMs - machineBefore.stolenMs;
      const allMs = result.elapsedMs * availableParallelism();
      return {
        ...result,
        serverCpuMs,
        othersShare: Math.max(0, (busyMs - serverCpuMs - result.clientCpuMs) / allMs),
        memoryTreeBytes: peak.treeBytes,
        memoryProcessBytes: peak.processBytes,
      };
    } finally {
      memory.stop();
      clearTimeout(timer);
      this.#client.off('message', onMessage).off('exit', onExit);
    }
  }

  /** With a scope, all that is written to the container is sealed. */
  async createContainer(server: Server, container: string, scope?: string): Promise<void> {
    const headers = scope === undefined ? {} : { 'x-ms-default-encryption-scope': scope };
    await this.#container(server, container, 'PUT', [201, 409], headers);
  }

  async deleteContainer(server: Server, container: string): Promise<void> {
    await this.#container(server, container, 'DELETE', [202, 404]);
  }

  async #container(
    server: Server,
    container: string,
    method: string,
    expected: readonly number[],
    headers: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const target = { port: server.port, sas: this.#sas };
    const [, path] = head(target, method, `/${container}`, 'restype=container', '').toString('latin1').split(' ');
    const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, {
      method,
      headers: { 'x-ms-version': '2023-11-03', ...headers },
      signal: AbortSignal.timeout(graceMs),
    });
    await answer.arrayBuffer();
    if (!expected.includes(answer.status)) {
      throw new Error(`${server.name} answered ${answer.status} to ${method} of container ${container}`);
    }
  }

  [Symbol.dispose](): void {
    this.#client.disconnect();
  }
}
