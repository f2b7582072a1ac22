// The metrics of a process, and their sum over the processes of a server.
import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObject,
  Registry,
} from 'prom-client';

/** What a name of a metric must look like, here and in Prometheus: only what a counter counts is a total. */
const metricName = { counter: /^causeway_[a-z0-9_]+_total$/, other: /^causeway_[a-z0-9_]+$(?<!_total)/ } as const;

/** Buckets of seconds for what a request takes: from a cached read to a large upload. */
export const durationBuckets = [
  0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 120,
] as const;

/** Buckets of bytes, by eights from 1 KiB to 16 GiB. */
export const sizeBuckets = Array.from({ length: 9 }, (_, i) => 1024 * 8 ** i);

export type Labels<L extends string> = Readonly<Record<L, string>>;

/** `of` looks the labels up: keep what it gives where it is used often. The values of a label must be few and known. */
export interface CounterFamily<L extends string> {
  of(labels: Labels<L>): { add(amount?: number): void };
}
export interface GaugeFamily<L extends string> {
  of(labels: Labels<L>): { set(value: number): void; add(amount: number): void };
}
export interface HistogramFamily<L extends string> {
  of(labels: Labels<L>): { observe(value: number): void };
}

interface Description<L extends string> {
  readonly help: string;
  readonly labels?: readonly L[];
}

/** How the gauges of several processes become one. */
type Merge = 'sum' | 'max' | 'min' | 'average' | 'first';

/** Names begin with `causeway_`, and end in `_total` (counters) or a unit (`_bytes`, `_seconds`). */
export interface Metrics {
  counter<L extends string = never>(name: string, description: Description<L>): CounterFamily<L>;
  gauge<L extends string = never>(
    name: string,
    /** With `read`, the value is asked for when it is collected; a gauge with labels is set instead. */
    description: Description<L> & { readonly merge?: Merge; readonly read?: () => number },
  ): GaugeFamily<L>;
  histogram<L extends string = never>(
    name: string,
    description: Description<L> & { readonly buckets: readonly number[] },
  ): HistogramFamily<L>;
  snapshot(): Promise<MetricsSnapshot>;
}

/** The metrics of one process as plain data, fit for a message between processes. */
export type MetricsSnapshot = readonly MetricObject[];

/** With `process`, also what Node knows of its own: CPU, memory, event loop, garbage collection. */
export function createMetrics(options: { readonly process: boolean }): Metrics {
  const register = new Registry();
  if (options.process) collectDefaultMetrics({ register });
  // Gauges that call themselves totals: sums of others, which stay.
  for (const what of ['resources', 'handles', 'requests']) register.removeSingleMetric(`nodejs_active_${what}_total`);
  const common = <L extends string>(name: string, { help, labels }: Description<L>, kind: keyof typeof metricName) => {
    if (!metricName[kind].test(name)) throw new Error(`not the name of a metric: ${name}`);
    return { name, help, labelNames: [...(labels ?? [])], registers: [register] };
  };
  return {
    counter(name, description) {
      const counter = new Counter(common(name, description, 'counter'));
      return {
        of: (labels) => {
          const child = counter.labels(labels);
          return { add: (amount = 1) => child.inc(amount) };
        },
      };
    },
    gauge(name, description) {
      const { read, merge = 'sum' } = description;
      const gauge: Gauge = new Gauge({
        ...common(name, description, 'other'),
        aggregator: merge,
        ...(read === undefined ? {} : { collect: () => gauge.set(read()) }),
      });
      return {
        of: (labels) => {
          const child = gauge.labels(labels);
          return { set: (value) => child.set(value), add: (amount) => child.inc(amount) };
        },
      };
    },
    histogram(name, description) {
      const histogram = new Histogram({ ...common(name, description, 'other'), buckets: [...description.buckets] });
      return {
        of: (labels) => {
          const child = histogram.labels(labels);
          return { observe: (value) => child.observe(value) };
        },
      };
    },
    snapshot: () => register.getMetricsAsJSON(),
  };
}

/** Several processes as one. Counters and histograms are added up, gauges as each of them says. */
export async function mergeSnapshots(snapshots: readonly MetricsSnapshot[]): Promise<MetricsSnapshot> {
  return await merged(snapshots).getMetricsAsJSON();
}

/** What `/metrics` answers, with `metricsContentType`. */
export async function expositionOf(snapshots: readonly MetricsSnapshot[]): Promise<string> {
  return await merged(snapshots).metrics();
}

export const metricsContentType: string = Registry.PROMETHEUS_CONTENT_TYPE;

/**
 * What a process counted goes on counting after it: without this, a worker that was replaced would make the sums fall,
 * which Prometheus takes for a restart of everything. Gauges end with their process.
 */
export function countersOf(snapshot: MetricsSnapshot): MetricsSnapshot {
  return snapshot.filter((metric) => {
    const type: unknown = metric.type;
    return type === 'counter' || type === 'histogram';
  });
}

function merged(snapshots: readonly MetricsSnapshot[]): Registry {
  return AggregatorRegistry.aggregate(snapshots.map((snapshot) => [...snapshot]));
}
