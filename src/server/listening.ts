// Listening where the settings say, and what it means when that cannot be.
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Config, SettingError } from '../base/config.ts';

const releaseTries = 20;
const releasePauseMs = 100;

type PortSetting = 'blobPort' | 'adminPort';

/** Resolves with the port. Throws `SettingError`. */
export function listen(server: Server, setting: PortSetting, config: Config): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const found = listenProblem(error, setting, config);
      reject(new SettingError(found.setting, found.problem, { cause: error }));
    });
    server.listen(config[setting], config.host, () => resolve((server.address() as { port: number }).port));
  });
}

/**
 * Throws `SettingError` if nobody could listen there now, nor soon: workers hold the port for the moment that they need to
 * end after a primary that was killed.
 */
export async function tryListening(setting: PortSetting, config: Config): Promise<void> {
  for (let tries = 0; ; tries++) {
    const server = createServer();
    try {
      await listen(server, setting, config);
      await new Promise((resolve) => server.close(resolve));
      return;
    } catch (error) {
      const { code } = (error as SettingError).cause as NodeJS.ErrnoException;
      if (code !== 'EADDRINUSE' || tries === releaseTries) throw error;
      await sleep(releasePauseMs);
    }
  }
}

/** Which setting is to blame for what an attempt to listen said. */
export function listenProblem(
  error: NodeJS.ErrnoException,
  setting: PortSetting,
  config: Config,
): { readonly setting: PortSetting | 'host'; readonly problem: string } {
  switch (error.code) {
    case 'EADDRINUSE':
      return { setting, problem: `port ${config[setting]} is in use` };
    case 'EACCES':
      return { setting, problem: `no right to listen on port ${config[setting]}` };
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return { setting: 'host', problem: `${config.host} is not an address of this machine` };
    default:
      return { setting, problem: error.message };
  }
}
