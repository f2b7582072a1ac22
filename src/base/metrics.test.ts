// Tests of the metrics: what is exposed, and how several processes become one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countersOf, createMetrics, durationBuckets, expositionOf, mergeSnapshots, sizeBuckets } from './metrics.ts';

function worker(requests: number, open: number, seconds: readonly number[]) {
  const metrics = createMetrics({ process: false });
  const counter = metrics.counter('causeway_requests_total', { help: 'Requests.', labels: ['operation'] });
  counter.of({ operation: 'GetBlob' }).add(requests);
  const gauge = metrics.gauge('causeway_connections', { help: 'Open connections.' });
  gauge.of({}).set(open);
  gauge.of({}).add(1);
  metrics.gauge('causeway_lag_seconds', { help: 'Lag.', merge: 'max', read: () => open * 10 });
  const histogram = metrics.histogram('causeway_request_seconds', {
    help: 'Time.',
    labels: ['operation'],
    buckets: durationBuckets,
  });
  const observed = histogram.of({ operation: 'GetBlob' });
  for (const each of seconds) observed.observe(each);
  return metrics;
}

/** As it comes out of a message between processes. */
const sent = <T>(value: T): T => JSON.parse(JSON.stringify(value));

test('the processes of a server are exposed as one', async () => {
  const snapshots = await Promise.all([worker(3, 2, [0.001, 0.3]).snapshot(), worker(4, 5, [0.3]).snapshot()]);
  const lines = (await expositionOf(snapshots.map(sent))).split('\n');
  for (const line of [
    '# TYPE causeway_requests_total counter',
    'causeway_requests_total{operation="GetBlob"} 7',
    'causeway_connections 9',
    'causeway_lag_seconds 50',
    'causeway_request_seconds_bucket{le="0.001",operation="GetBlob"} 1',
    'causeway_request_seconds_bucket{le="0.5",operation="GetBlob"} 3',
    'causeway_request_seconds_bucket{le="+Inf",operation="GetBlob"} 3',
    'causeway_request_seconds_sum{operation="GetBlob"} 0.601',
    'causeway_request_seconds_count{operation="GetBlob"} 3',
  ]) {
    assert.ok(lines.includes(line), `${line}\nis not in\n${lines.join('\n')}`);
  }
});

test('what a worker counted outlives it, what it held open does not', async () => {
  const gone = countersOf(sent(await worker(3, 2, [0.3]).snapshot()));
  const goneToo = await mergeSnapshots([gone, countersOf(await worker(10, 1, []).snapshot())]);
  const lines = (await expositionOf([sent(await worker(4, 5, [0.3]).snapshot()), sent(goneToo)])).split('\n');
  assert.ok(lines.includes('causeway_requests_total{operation="GetBlob"} 17'));
  assert.ok(lines.includes('causeway_request_seconds_count{operation="GetBlob"} 2'));
  assert.ok(lines.includes('causeway_connections 6'));
  assert.ok(lines.includes('causeway_lag_seconds 50'));
});

test('Node says of every process what it uses, and that adds up too', async () => {
  const snapshots = [
    await createMetrics({ process: true }).snapshot(),
    await createMetrics({ process: true }).snapshot(),
  ];
  const text = await expositionOf(snapshots.map(sent));
  assert.match(text, /^process_resident_memory_bytes \d{7,}$/m);
  assert.match(text, /^process_cpu_seconds_total [\d.]+$/m);
  assert.doesNotMatch(text, /^# TYPE \w+_total gauge$/m);
});

test('a name that does not tell whose it is, and a name given twice, are mistakes', () => {
  const metrics = createMetrics({ process: false });
  assert.throws(() => metrics.counter('requests_total', { help: 'x' }), /not the name of a metric/);
  assert.throws(() => metrics.counter('causeway_requests', { help: 'x' }), /not the name of a metric/);
  assert.throws(() => metrics.gauge('causeway_requests_total', { help: 'x' }), /not the name of a metric/);
  metrics.counter('causeway_a_total', { help: 'x' });
  assert.throws(() => metrics.counter('causeway_a_total', { help: 'x' }), /already been registered/);
});

test('buckets rise', () => {
  for (const buckets of [durationBuckets, sizeBuckets]) {
    assert.deepEqual(
      [...buckets],
      [...buckets].sort((a, b) => a - b),
    );
  }
  assert.equal(sizeBuckets.at(-1), 16 * 1024 ** 3);
});
