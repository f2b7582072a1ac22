// Names that the admin listener answers to, and names of others that point here.
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { isOwnHost } from './hosts.ts';

const asked = (host: string | readonly string[] | undefined, localAddress = '192.0.2.7') =>
  ({
    headersDistinct: host === undefined ? {} : { host: typeof host === 'string' ? [host] : host },
    socket: { localAddress },
  }) as unknown as IncomingMessage;

const allowed = ['causeway.example.com', '.internal.example.com', '2001:db8::5'];

test('loopback, the own address and configured names are answered', () => {
  const own = ['localhost', 'LOCALHOST:8080', 'localhost.', 'a.localhost', '127.0.0.1', '127.9.9.9:1', '[::1]:8080'];
  const more = ['192.0.2.7', '192.0.2.7:8080', 'causeway.example.com', 'Causeway.Example.com:80'];
  for (const host of [...own, ...more, 'a.internal.example.com', '[2001:db8:0:0::5]', undefined]) {
    assert.ok(isOwnHost(asked(host), allowed), `${host}`);
  }
  assert.ok(isOwnHost(asked('192.0.2.7', '::ffff:192.0.2.7'), []));
  assert.ok(isOwnHost(asked('[2001:DB8::1]', '2001:db8::1'), []));
  assert.ok(isOwnHost(asked('[::ffff:192.0.2.7]'), []));
  assert.ok(isOwnHost(asked('anything.example.org'), ['*']));
});

test('names of others, and what is no name, are not', () => {
  const others = ['evil.example.org', 'localhost.evil.example.org', '127.0.0.1.evil.example.org', 'example.com'];
  const near = ['internal.example.com', 'xcauseway.example.com', 'evilinternal.example.com', '192.0.2.8', '0.0.0.0'];
  const broken = [
    '',
    ':80',
    '.',
    'a@localhost',
    'localhost/',
    'localhost:80:80',
    '[::1',
    '[]',
    'lo calhost',
    '2130706433',
  ];
  for (const host of [...others, ...near, ...broken, '[::2]']) assert.ok(!isOwnHost(asked(host), allowed), host);
  assert.ok(!isOwnHost(asked(['localhost', 'localhost']), allowed));
});
