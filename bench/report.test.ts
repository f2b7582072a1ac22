import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Measurement } from './load.ts';
import { judge, markdown, type RunResult } from './report.ts';
import { median, medianOf } from './statistics.ts';

function measured(perSecond: number, serverCpuMs = 500): Measurement {
  return {
    operations: perSecond,
    elapsedMs: 1000,
    bytes: perSecond * 4096,
    p50Ms: 1,
    p99Ms: 2,
    clientCpuMs: 300,
    errors: 0,
    missing: 0,
    firstError: undefined,
    windowUs: [0, 1_000_000],
    serverCpuMs,
    othersShare: 0.1,
    memoryTreeBytes: 2e8,
    memoryProcessBytes: 1e8,
  };
}

function runOf(causeway: number, azurite: number): RunResult {
  const medians = { causeway: measured(causeway), azurite: measured(azurite) };
  const stage = (names: number, put: number) => ({
    names,
    fillPerSecond: 1,
    put: measured(put),
    get: measured(100),
    list: measured(10),
  });
  return {
    scale: 'quick',
    date: '2026-01-01T00:00:00.000Z',
    machine: { cores: 2 },
    servers: ['causeway', 'azurite'],
    cases: [{ name: 'get-4k-c16', sizeBytes: 4096, median: medians, rounds: {} }],
    heldNames: {},
    disk: [{ directMBps: undefined, bufferedMBps: 100 }],
    restart: {},
    growth: [stage(10_000, 160), stage(100_000, 100)],
    failures: [],
  };
}

test('an aim is met at its factor and missed below it', () => {
  const aimOf = (run: RunResult) => judge(run).find((one) => one.aim.startsWith('get-4k-c16'));
  assert.equal(aimOf(runOf(20_000, 2000))?.met, true);
  assert.equal(aimOf(runOf(19_999, 2000))?.met, false);
});

test('encryption is judged by what it leaves of the throughput', () => {
  const sealedOf = (perSecond: number) => {
    const names = ['put-8m-c16', 'put-8m-c16-sealed'];
    const cases = names.map((name, at) => ({
      name,
      sizeBytes: 8 << 20,
      median: { causeway: measured(at === 0 ? 100 : perSecond) },
      rounds: {},
    }));
    return { ...runOf(1, 1), cases };
  };
  const verdict = (perSecond: number) => judge(sealedOf(perSecond)).find((one) => one.aim.includes('encrypted'));
  assert.equal(verdict(75)?.met, true);
  assert.equal(verdict(74)?.met, false);
  assert.match(markdown(sealedOf(80)), /\| put-8m-c16 \|.*\| 0\.80 \|/);
});

test('growth is judged by how much slower the larger container is', () => {
  const verdicts = judge(runOf(1, 1)).filter((one) => one.aim.startsWith('growth'));
  assert.deepEqual(
    verdicts.map((one) => [one.measured, one.met]),
    [
      [1.6, false],
      [1, true],
      [1, true],
    ],
  );
});

test('the table shows the ratio, and what was not measured as a dash', () => {
  const text = markdown(runOf(30_000, 2000));
  assert.match(text, /\| get-4k-c16 \| 30,000 \| 2,000 \| 15\.0 \| – \|/);
  assert.match(text, /took 10 % of its processors in the median case, 10 % at most/);
  assert.match(text, /direct refused by this file system/);
});

test('medians are of rates, so that a round cut short weighs as much', () => {
  const short = { ...measured(100), elapsedMs: 250 };
  assert.equal(medianOf([measured(100), short, measured(200)]).operations, 200);
  assert.equal(median([1, 2, 3, 10]), 2.5);
});
