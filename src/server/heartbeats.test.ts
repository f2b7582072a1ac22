// Which silence means that a process hangs, and which means nothing.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Heartbeats } from './heartbeats.ts';

function world() {
  const clock = { nowMs: 0 };
  const asked: string[] = [];
  const hung: string[] = [];
  const beats = new Heartbeats<string>({
    intervalMs: 100,
    roundsMax: 10,
    nowMs: () => clock.nowMs,
    ask: (peer) => void asked.push(peer),
    onHung: (peer) => void hung.push(peer),
  });
  const round = (afterMs = 100): void => {
    clock.nowMs += afterMs;
    beats.round();
  };
  return { beats, asked, hung, round };
}

describe('a peer', () => {
  test('that answers is asked for ever', () => {
    const { beats, asked, hung, round } = world();
    beats.add('a');
    for (let i = 0; i < 100; i++) {
      round();
      beats.heard('a');
    }
    assert.equal(asked.length, 100);
    assert.deepEqual(hung, []);
    assert.ok(beats.answers('a'));
  });

  test('that falls silent soon counts no more, and then hangs, once', () => {
    const { beats, hung, round } = world();
    beats.add('a');
    beats.add('b');
    const answering = (): void => {
      round();
      beats.heard('b');
    };
    for (let i = 0; i < 4; i++) answering();
    assert.ok(!beats.answers('a'));
    assert.deepEqual(hung, []);
    for (let i = 0; i < 20; i++) answering();
    assert.deepEqual(hung, ['a']);
    assert.ok(beats.answers('b'));
  });

  test('that answers late, but does, does not hang', () => {
    const { beats, hung, round } = world();
    beats.add('a');
    for (let i = 0; i < 50; i++) {
      round();
      if (i % 9 === 8) beats.heard('a');
    }
    assert.deepEqual(hung, []);
  });

  test('that is gone is neither asked nor heard', () => {
    const { beats, asked, hung, round } = world();
    beats.add('a');
    beats.remove('a');
    beats.heard('a');
    for (let i = 0; i < 20; i++) round();
    assert.deepEqual([asked, hung], [[], []]);
    assert.ok(!beats.answers('a'));
  });
});

describe('a process that asks late', () => {
  test('because it was stopped, or its machine slept, blames nobody', () => {
    const { beats, hung, round } = world();
    beats.add('a');
    for (let i = 0; i < 10; i++) round();
    round(3_600_000);
    assert.deepEqual(hung, []);
    beats.heard('a');
    for (let i = 0; i < 10; i++) round();
    assert.deepEqual(hung, []);
  });

  test('again and again, because it is starved, blames nobody', () => {
    const { beats, hung, round } = world();
    beats.add('a');
    for (let i = 0; i < 100; i++) round(250);
    assert.deepEqual(hung, []);
  });
});
