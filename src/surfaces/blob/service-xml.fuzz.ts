// Properties of the service: read or refused, and what was read is written and read again as it was.
import assert from 'node:assert/strict';
import { type FuzzRandom, fuzzCases, mutate, pick } from '../../base/mutate.testing.ts';
import { readXml } from '../../codec/xml-read.ts';
import { BlobError } from './errors.ts';
import { blobServiceOf } from './service-record.ts';
import { readBlobService, writeBlobService } from './service-xml.ts';
import { newestVersion } from './versions.ts';

const rule =
  '<CorsRule><AllowedOrigins>http://a,*</AllowedOrigins><AllowedMethods>GET,PUT</AllowedMethods><AllowedHeaders>x-*</AllowedHeaders><ExposedHeaders>y</ExposedHeaders><MaxAgeInSeconds>5</MaxAgeInSeconds></CorsRule>';
const seeds = [
  `<StorageServiceProperties><Cors>${rule}</Cors><DefaultServiceVersion>2022-11-02</DefaultServiceVersion></StorageServiceProperties>`,
  '<StorageServiceProperties><DeleteRetentionPolicy><Enabled>true</Enabled><Days>7</Days></DeleteRetentionPolicy></StorageServiceProperties>',
  '<StorageServiceProperties><Logging><Version>1.0</Version><Delete>true</Delete><Read>false</Read><Write>true</Write><RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></Logging></StorageServiceProperties>',
  '<StorageServiceProperties><StaticWebsite><Enabled>true</Enabled><IndexDocument>i</IndexDocument></StaticWebsite></StorageServiceProperties>',
];

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  await fuzzCases(deadlineMs, () => {
    const input = mutate(random, pick(random, seeds), [rule, '<Enabled>', 'true', '-1']);
    return {
      input,
      check() {
        const parsed = readXml(input, 64 * 1024);
        if (parsed.kind !== 'ok') return;
        try {
          const found = blobServiceOf(readBlobService(parsed.root, newestVersion));
          const written = writeBlobService(found, newestVersion);
          const again = readXml(written, 1024 * 1024);
          assert.equal(again.kind, 'ok');
          if (again.kind === 'ok')
            assert.equal(
              writeBlobService(blobServiceOf(readBlobService(again.root, newestVersion)), newestVersion),
              written,
            );
        } catch (error) {
          if (!(error instanceof BlobError)) throw error;
          assert.ok(error.status >= 400 && error.status < 500);
        }
      },
    };
  });
}
