// AzCopy with a service principal: it signs in at the local issuer, and reaches Causeway under Azure's own host name.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EntraStage, startEntra, type Who } from '../entra.ts';
import type { GateContext } from '../gate.ts';
import { startProxy } from '../proxy.ts';
import type { Recorder } from '../recorder.ts';
import { createContainer } from '../sas.ts';
import { expectTree, planTree, writeTree } from '../tree.ts';
import { type AzCopy, azcopyWith, type JobSummary } from './client.ts';

const storageHost = 'blob.core.windows.net';
const signInHost = 'login.microsoftonline.com';
const kibi = 1024;
const mebi = 1024 * kibi;

export async function checkEntra(context: GateContext, azcopy: AzCopy, checks: Recorder): Promise<void> {
  const stage = await startEntra(context, { names: [`*.${storageHost}`, signInHost] });
  const { access } = stage.server;
  const proxy = await startProxy({
    [`${access.account}.${storageHost}`]: portOf(access.blob),
    [signInHost]: portOf(stage.authorityHost),
  });
  try {
    const as = (who: Who): AzCopy => azcopyWith(context, azcopy, `entra-${who}`, signedIn(stage, who, proxy.url));
    for (const container of ['first', 'second']) await createContainer(access, container);
    await checkRoles(context, as, (path) => `https://${access.account}.${storageHost}/${path}`, checks);
  } finally {
    await proxy.close();
    await stage.close();
  }
}

function signedIn(stage: EntraStage, who: Who, proxy: string): Record<string, string> {
  const { clientId, secret } = stage.principals[who];
  return {
    AZCOPY_AUTO_LOGIN_TYPE: 'SPN',
    AZCOPY_TENANT_ID: stage.tenant,
    AZCOPY_SPA_APPLICATION_ID: clientId,
    AZCOPY_SPA_CLIENT_SECRET: secret,
    SSL_CERT_FILE: stage.caPath,
    HTTPS_PROXY: proxy,
    NO_PROXY: '',
  };
}

async function checkRoles(
  context: GateContext,
  as: (who: Who) => AzCopy,
  url: (path: string) => string,
  checks: Recorder,
): Promise<void> {
  const plan = {
    seed: 'entra',
    files: context.all ? 1000 : 100,
    largeSizes: [20 * mebi, mebi],
    smallBytesMax: 64 * kibi,
  };
  const tree = planTree(plan);
  const [local, back] = ['entra-tree', 'entra-back'].map((name) => join(context.workDir, name)) as [string, string];
  await writeTree(local, tree.values(), new Date());
  await mkdir(back);
  const contributor = as('contributor');
  await checks.check('with a token: copy up', async () => {
    const sent = await contributor.job([
      'copy',
      `${local}/*`,
      url('first'),
      '--from-to',
      'LocalBlob',
      '--recursive',
      '--put-md5',
    ]);
    return expectAll(sent, tree.size);
  });
  await checks.check('with a token: copy between containers', async () => {
    const sent = await contributor.job(['copy', url('first/*'), url('second'), '--from-to', 'BlobBlob', '--recursive']);
    return expectAll(sent, tree.size);
  });
  await checks.check('with a token: copy down has the same bytes', async () => {
    const got = [
      'copy',
      url('second/*'),
      back,
      '--from-to',
      'BlobLocal',
      '--recursive',
      '--check-md5',
      'FailIfDifferent',
    ];
    await as('reader').job(got);
    return expectTree(back, tree);
  });
  await checks.check('with a token: a reader may not write, who has no role may not read', async () => {
    const file = join(context.workDir, 'entra-refused.txt');
    await writeFile(file, 'refused');
    const up = await as('reader').raw(['copy', file, url('first/refused.txt'), '--from-to', 'LocalBlob']);
    if (up.code === 0) throw new Error('the upload of a reader was accepted');
    const down = await as('nobody').raw(['copy', url('first/large/*'), back, '--from-to', 'BlobLocal', '--recursive']);
    if (down.code === 0) throw new Error('the download without a role was accepted');
    const listed = await contributor.raw(['list', url('first')]);
    if (!listed.stdout.includes('large/')) throw new Error(`not listed: ${listed.stdout.slice(0, 300)}`);
    if (listed.stdout.includes('refused.txt')) throw new Error('the blob is there');
  });
  await checks.check('with a token: remove leaves nothing', async () => {
    await contributor.job(['remove', url('second'), '--from-to', 'BlobTrash', '--recursive']);
    const listed = await contributor.raw(['list', url('second')]);
    if (listed.stdout.includes('large/')) throw new Error(`left: ${listed.stdout.slice(0, 300)}`);
  });
}

function expectAll(summary: JobSummary, files: number): string {
  if (summary.completed !== files) throw new Error(`${summary.completed} of ${files} transfers`);
  return `${files} files`;
}

const portOf = (url: string): number => Number(new URL(url).port);
