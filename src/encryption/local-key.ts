// Keys of customers in a file: for a store that is all on one machine. Whoever has the file and the data has everything.
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { KeyError, type KeyProvider, type WrappedKey } from '../namespace/keyring.ts';

interface KeyFile {
  readonly format: 1;
  /** The last one wraps; the others unwrap what they wrapped. */
  readonly versions: readonly KeyVersion[];
}

interface KeyVersion {
  readonly version: string;
  readonly createdMs: number;
  /** Base64, 32 bytes. */
  readonly key: string;
}

const keyBytes = 32;
const ivBytes = 12;
const tagBytes = 16;

export interface LocalKeyOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** The file is read at every use, so that taking it away takes effect as fast as with any other key. */
export class LocalKey implements KeyProvider {
  readonly #options: LocalKeyOptions;

  constructor(options: LocalKeyOptions) {
    this.#options = options;
  }

  async wrap(_keyUrl: string | undefined, key: Buffer): Promise<WrappedKey> {
    const { versions } = (await this.#read()) ?? (await this.#create());
    const newest = versions.at(-1) as KeyVersion;
    const iv = this.#options.random.bytes(ivBytes);
    const cipher = createCipheriv('aes-256-gcm', Buffer.from(newest.key, 'base64'), iv);
    cipher.setAAD(Buffer.from(newest.version));
    const wrapped = Buffer.concat([iv, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
    return { wrapped, keyVersion: newest.version };
  }

  async unwrap(_keyUrl: string | undefined, { wrapped, keyVersion }: WrappedKey): Promise<Buffer> {
    const file = await this.#read();
    const found = file?.versions.find(({ version }) => version === keyVersion);
    if (found === undefined) throw this.#error(`has no version ${keyVersion}`);
    try {
      const iv = wrapped.subarray(0, ivBytes);
      const decipher = createDecipheriv('aes-256-gcm', Buffer.from(found.key, 'base64'), iv, {
        authTagLength: tagBytes,
      });
      decipher.setAAD(Buffer.from(keyVersion));
      decipher.setAuthTag(wrapped.subarray(-tagBytes));
      return Buffer.concat([decipher.update(wrapped.subarray(ivBytes, -tagBytes)), decipher.final()]);
    } catch {
      throw this.#error(`version ${keyVersion} does not unwrap what it should have wrapped`);
    }
  }

  async renew(): Promise<void> {
    const before = await this.#read();
    if (before === undefined) await this.#create();
    else await this.#write({ format: 1, versions: [...before.versions, this.#newVersion()] });
  }

  /** Undefined where there is none. Throws `KeyError` for one that others can read, or that is no key file. */
  async #read(): Promise<KeyFile | undefined> {
    const { path } = this.#options;
    let text: string;
    try {
      const { mode, uid } = await stat(path);
      if ((mode & 0o077) !== 0) throw this.#error('may be read by others than its owner: its mode must be 600');
      const own = process.getuid?.();
      if (own !== undefined && own !== 0 && uid !== own) throw this.#error('belongs to somebody else');
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error instanceof KeyError
        ? error
        : this.#error(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
    try {
      const file = JSON.parse(text) as KeyFile;
      const isWhole =
        file.format === 1 &&
        file.versions.length > 0 &&
        file.versions.every(({ version, key }) => version !== '' && Buffer.from(key, 'base64').length === keyBytes);
      if (isWhole) return file;
    } catch {
      // Told below: what the parser says may repeat what it read.
    }
    throw this.#error('is not a key file');
  }

  async #create(): Promise<KeyFile> {
    const file: KeyFile = { format: 1, versions: [this.#newVersion()] };
    await this.#write(file, true);
    const read = await this.#read();
    if (read === undefined) throw this.#error('went away');
    return read;
  }

  #newVersion(): KeyVersion {
    const { clock, random } = this.#options;
    const key = random.bytes(keyBytes).toString('base64');
    return { version: random.bytes(16).toString('hex'), createdMs: clock.now(), key };
  }

  /** Durable, whole or not at all; a new file never replaces one that somebody else made meanwhile. */
  async #write(file: KeyFile, isNew = false): Promise<void> {
    const { path, random } = this.#options;
    const directory = dirname(path);
    const temporary = `${path}.${random.bytes(6).toString('hex')}`;
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await using handle = await open(temporary, 'wx', 0o600);
      await handle.writeFile(`${JSON.stringify(file, undefined, 2)}\n`);
      await handle.sync();
      if (isNew) await linkNew(temporary, path);
      else await rename(temporary, path);
      await using parent = await open(directory, 'r');
      await parent.sync();
    } catch (error) {
      throw this.#error(`cannot be written (${(error as NodeJS.ErrnoException).code})`);
    }
  }

  #error(what: string): KeyError {
    return new KeyError('key-not-found', `the key file ${this.#options.path} ${what}`);
  }
}

async function linkNew(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  await unlink(temporary);
}
