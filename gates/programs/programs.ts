// The programs of docs/recipes: what brings each onto this machine, and what has to lie on the server after its page ran.

import { createHash } from 'node:crypto';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { installAzCopy } from '../azcopy/client.ts';
import type { GateContext } from '../gate.ts';
import { goBuild, goPrograms, mavenBuild } from '../install.ts';
import { buildRclone } from '../rclone/client.ts';
import { developmentAccount } from '../server.ts';
import { hostSuffix, readPage } from './page.ts';
import type { Reader } from './reader.ts';

export interface Program {
  /** Of the page: `docs/recipes/NAME.md`. */
  readonly name: string;
  /** Runs with `--all` only: it is large, or takes minutes to build. */
  readonly slow: boolean;
  /** Programs with the same word share one virtual environment of what their pages install. */
  readonly python?: string;
  /** Puts further programs that the page calls into a directory. */
  install?(context: GateContext, directory: string): Promise<void>;
  /** On the server with TLS, by the host names of the page. */
  readonly byHostName?: true;
  /** Throws unless the bytes are there; what it returns is the row's detail. */
  verify(reader: Reader): Promise<string>;
}

const numbers = `${Array.from({ length: 100_000 }, (_, n) => n + 1).join('\n')}\n`;
const countAndSum = 'SELECT count(*), sum(id) FROM $files';

export const programs: readonly Program[] = [
  {
    name: 'azcopy',
    slow: false,
    async install(context, directory) {
      await symlink((await installAzCopy(context)).program, join(directory, 'azcopy'));
    },
    async verify(reader) {
      equal(await reader.names('recipes', 'azcopy/site/'), ['index.txt', 'pages/numbers.txt']);
      equal(await reader.text('recipes/azcopy/site/index.txt'), 'Hello from AzCopy\n');
      equal(await reader.text('recipes/azcopy/site/pages/numbers.txt'), numbers);
      return '2 blobs';
    },
  },
  {
    name: 'rclone',
    slow: true,
    async install(context, directory) {
      await symlink(await buildRclone(context), join(directory, 'rclone'));
    },
    async verify(reader) {
      equal(await reader.text('recipes/rclone/hello.txt'), 'Hello from rclone\n');
      equal(await reader.text('recipes/rclone/deep/numbers.txt'), numbers);
      return '2 blobs';
    },
  },
  {
    name: 'pyarrow',
    slow: false,
    python: 'data',
    async verify(reader) {
      equal(await reader.parquet(['recipes/pyarrow/one.parquet'], countAndSum), ['1000', '499500']);
      const many = (await reader.names('recipes', 'pyarrow/many/')).filter((name) => name.endsWith('.parquet'));
      equal(many.length, 4);
      const paths = many.map((name) => `recipes/pyarrow/many/${name}`);
      equal(await reader.parquet(paths, countAndSum), ['1000', '499500']);
      return '5 files';
    },
  },
  {
    name: 'pandas',
    slow: false,
    python: 'data',
    async verify(reader) {
      equal(await reader.parquet(['recipes/pandas/frame.parquet'], countAndSum), ['1000', '499500']);
      equal((await reader.text('recipes/pandas/frame.csv')).split('\n').slice(0, 2), ['id,even', '0,True']);
      equal(await reader.text('recipes/pandas/moved.txt'), 'Hello from adlfs');
      return '3 blobs';
    },
  },
  {
    name: 'dask',
    slow: false,
    python: 'data',
    async verify(reader) {
      const parts = (await reader.names('recipes', 'dask/')).filter((name) => name.endsWith('.parquet'));
      equal(parts.length, 4);
      const paths = parts.map((name) => `recipes/dask/${name}`);
      equal(await reader.parquet(paths, countAndSum), ['1000', '499500']);
      return '4 files';
    },
  },
  { name: 'delta-rs', slow: false, python: 'data', verify: verifyDelta },
  {
    name: 'polars',
    slow: false,
    python: 'data',
    async verify(reader) {
      const paths = ['recipes/polars/one.parquet', 'recipes/polars/two.parquet'];
      equal(await reader.parquet(paths, countAndSum), ['1010', '499545']);
      return '2 files';
    },
  },
  {
    name: 'duckdb',
    slow: false,
    python: 'data',
    async verify(reader) {
      equal(await reader.parquet(['recipes/duckdb/one.parquet'], countAndSum), ['1000', '499500']);
      equal((await reader.text('recipes/duckdb/two.csv')).split('\n').slice(0, 3), ['id', '0', '1']);
      return '2 blobs';
    },
  },
  {
    name: 'clickhouse',
    slow: true,
    python: 'chdb',
    async verify(reader) {
      const paths = ['recipes/clickhouse/one.parquet', 'recipes/clickhouse/two.parquet'];
      equal(await reader.parquet(paths, countAndSum), ['1010', '499545']);
      return '2 files';
    },
  },
  {
    name: 'zarr',
    slow: false,
    python: 'data',
    async verify(reader) {
      equal(await reader.text('recipes/zarr/hello.txt'), 'Hello from obstore');
      // The last chunk, which is not compressed: its last number is the array's last.
      const chunk = await reader.bytes('recipes/zarr/field/c/1/1');
      equal([chunk.length, chunk.readInt32LE(0), chunk.readInt32LE(chunk.length - 4)], [10_000, 5050, 9999]);
      return 'a blob and a chunk';
    },
  },
  {
    name: 'event-hubs',
    slow: false,
    python: 'data',
    async verify(reader) {
      const names = await reader.names('recipes', 'events.servicebus.windows.net/orders/$default/');
      equal(names, ['checkpoint/0', 'ownership/0']);
      const about = async (name: string, key: string): Promise<string | null> =>
        (await reader.headers(`recipes/events.servicebus.windows.net/orders/$default/${name}`)).get(`x-ms-meta-${key}`);
      equal(await about('ownership/0', 'ownerid'), 'consumer-1');
      equal([await about('checkpoint/0', 'offset'), await about('checkpoint/0', 'sequencenumber')], ['4096', '17']);
      return '2 blobs';
    },
  },
  {
    name: 'restic',
    slow: true,
    byHostName: true,
    install: goInstalled('restic'),
    async verify(reader) {
      // A repository's files are named by the SHA-256 of what is in them.
      const names = (await reader.names('recipes', 'restic/')).filter((name) => name !== 'config');
      for (const name of names) equal(sha256(await reader.bytes(`recipes/restic/${name}`)), name.split('/').at(-1));
      for (const kind of ['data/', 'index/', 'keys/', 'snapshots/']) {
        if (!names.some((name) => name.startsWith(kind))) throw new Error(`nothing in ${kind}`);
      }
      return `${names.length} files`;
    },
  },
  {
    name: 'litestream',
    slow: true,
    install: goInstalled('litestream'),
    async verify(reader) {
      const names = (await reader.names('recipes', 'litestream/')).filter((name) => name.endsWith('.ltx'));
      if (names.length === 0) throw new Error('no LTX file');
      const file = await reader.bytes(`recipes/litestream/${names[0]}`);
      equal(file.subarray(0, 4).toString('latin1'), 'LTX1');
      return `${names.length} files`;
    },
  },
  {
    name: 'azure-cli',
    slow: true,
    python: 'azure-cli',
    async verify(reader) {
      equal(await reader.text('recipes/az/hello.txt'), 'Hello from az\n');
      equal((await reader.headers('recipes/az/hello.txt')).get('x-ms-meta-kind'), 'greeting');
      return 'a blob';
    },
  },
  {
    name: 'lancedb',
    slow: true,
    python: 'lancedb',
    async verify(reader) {
      const files = (await reader.names('recipes', 'lance/points.lance/data/')).filter((name) =>
        name.endsWith('.lance'),
      );
      if (files.length < 2) throw new Error(`${files.length} data files`);
      for (const name of files) {
        const file = await reader.bytes(`recipes/lance/points.lance/data/${name}`);
        equal(file.subarray(-4).toString('latin1'), 'LANC');
      }
      return `${files.length} files`;
    },
  },
  {
    name: 'mlflow',
    slow: true,
    python: 'mlflow',
    async verify(reader) {
      const names = (await reader.names('recipes', 'mlflow/')).filter((name) => name.endsWith('/notes/hello.txt'));
      equal(names.length, 1);
      equal(await reader.text(`recipes/mlflow/${names[0]}`), 'Hello from MLflow');
      return 'a blob';
    },
  },
  {
    name: 'dvc',
    slow: true,
    python: 'dvc',
    async verify(reader) {
      const md5 = createHash('md5').update(numbers).digest('hex');
      const path = `recipes/dvc/files/md5/${md5.slice(0, 2)}/${md5.slice(2)}`;
      equal(await reader.text(path), numbers);
      return 'a blob';
    },
  },
  {
    name: 'airflow',
    slow: true,
    python: 'airflow',
    async verify(reader) {
      equal(await reader.text('recipes/airflow/hello.txt'), 'Hello from Airflow');
      return 'a blob';
    },
  },
  {
    name: 'terraform',
    slow: true,
    byHostName: true,
    install: buildTofu,
    async verify(reader) {
      const state = JSON.parse(await reader.text('terraform/terraform.tfstate')) as {
        outputs: { greeting: { value: string } };
      };
      equal(state.outputs.greeting.value, 'Hello from the state');
      return 'a blob';
    },
  },
  {
    name: 'docker-registry',
    slow: true,
    install: goInstalled('docker-registry'),
    async verify(reader) {
      const below = 'docker/registry/v2/blobs/sha256/';
      const names = (await reader.names('recipes', below)).filter((name) => name.endsWith('/data'));
      for (const name of names) equal(sha256(await reader.bytes(`recipes/${below}${name}`)), name.split('/')[1]);
      if (names.length < 3) throw new Error(`${names.length} blobs of a manifest, a configuration and a layer`);
      return `${names.length} blobs`;
    },
  },
  {
    name: 'wasb',
    slow: true,
    async install(context, directory) {
      const classPath = await mavenBuild(context, 'programs-hadoop', join(import.meta.dirname, 'hadoop'));
      const hosts = join(directory, 'hosts');
      await writeFile(hosts, `127.0.0.1 localhost ${developmentAccount.account}.blob.${hostSuffix}\n`);
      const java = `java -Djdk.net.hosts.file=${hosts} -cp "$PWD:${classPath}" org.apache.hadoop.fs.FsShell`;
      await writeFile(join(directory, 'hadoop'), `#!/bin/sh\n# hadoop fs ...\nshift\nexec ${java} "$@"\n`, {
        mode: 0o755,
      });
    },
    async verify(reader) {
      equal(await reader.text('recipes/wasb/deep/hello.txt'), 'Hello from Hadoop\n');
      return 'a blob';
    },
  },
];

/** The rows of the data files that the log's actions leave, counted without the table's own code. */
async function verifyDelta(reader: Reader): Promise<string> {
  const commits = (await reader.names('recipes', 'delta/_delta_log/')).filter((name) => /^\d{20}\.json$/.test(name));
  equal(commits.length, 6);
  const live = new Set<string>();
  for (const commit of commits) {
    for (const line of (await reader.text(`recipes/delta/_delta_log/${commit}`)).trim().split('\n')) {
      const { add, remove } = JSON.parse(line) as { add?: { path: string }; remove?: { path: string } };
      if (remove) live.delete(remove.path);
      if (add) live.add(add.path);
    }
  }
  const paths = [...live].map((path) => `recipes/delta/${path}`);
  equal(await reader.parquet(paths, countAndSum), ['450', String((499 * 500) / 2 - (49 * 50) / 2)]);
  return `${commits.length} commits, ${live.size} files`;
}

/** The programs of the page's `go install` lines. */
function goInstalled(name: string): (context: GateContext, directory: string) => Promise<void> {
  return async (context, directory) => {
    const { goPrograms: wanted } = readPage(name);
    const built = await goPrograms(context, `programs-${name}`, wanted);
    for (const program of wanted) {
      const word = program.replace(/@.*/, '').split('/').at(-1) ?? '';
      await symlink(join(built, word), join(directory, word));
    }
  };
}

/** `go install` takes no module with a replacement in its go.mod; a module of one's own with the same replacement does. */
async function buildTofu(context: GateContext, directory: string): Promise<void> {
  const version = '1.12.6';
  const hcl = 'github.com/hashicorp/hcl/v2 v2.20.1 => github.com/opentofu/hcl/v2 v2.20.2-0.20251021132045-587d123c2828';
  const module = `module causeway-gate\n\ngo 1.26\n\nrequire github.com/opentofu/opentofu v${version}\n\nreplace ${hcl}\n`;
  const built = await goBuild(context, `tofu-${version}`, module, 'github.com/opentofu/opentofu/cmd/tofu');
  await symlink(join(built, 'tofu'), join(directory, 'tofu'));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function equal(actual: unknown, wanted: unknown): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(wanted)];
  if (is !== should) throw new Error(`${is?.slice(0, 200)} instead of ${should?.slice(0, 200)}`);
}
