// XML of any kind: an outcome and no exception, within the limits, and no entity is ever expanded.
import assert from 'node:assert/strict';
import { type FuzzRandom, fuzzCases, mutate, pick } from '../base/mutate.testing.ts';
import { readXml, type XmlElement } from './xml-read.ts';

const seeds = [
  '<?xml version="1.0" encoding="utf-8"?><BlockList><Committed>AAAA</Committed><Latest>BBBB</Latest></BlockList>',
  '<SignedIdentifiers><SignedIdentifier><Id>a</Id><AccessPolicy><Start>2020-01-01</Start></AccessPolicy></SignedIdentifier></SignedIdentifiers>',
  '<!DOCTYPE a [<!ENTITY b "bomb">]><a>&b;</a>',
  '<a><![CDATA[x]]><!-- c --><?pi d?>&amp;&#65;&#x41;</a>',
];
const words = [
  '<!DOCTYPE ',
  '<!ENTITY x SYSTEM "file:///etc/passwd">',
  '<![CDATA[',
  ']]>',
  '&x;',
  '&#0;',
  '<a ',
  ' b="c"',
];

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  await fuzzCases(deadlineMs, () => {
    const input = mutate(random, pick(random, seeds), words);
    return {
      input,
      check() {
        const body = random.below(2) === 0 ? input : Buffer.from(input, random.below(2) === 0 ? 'utf8' : 'latin1');
        const outcome = readXml(body, 16 * 1024, 100);
        if (outcome.kind !== 'ok') return;
        let elements = 0;
        const walk = (element: XmlElement, depth: number): void => {
          elements += 1;
          assert.ok(depth <= 17);
          assert.ok(!element.text.includes('bomb') || input.split('bomb').length > 2 || !input.includes('<!ENTITY'));
          for (const child of element.children) walk(child, depth + 1);
        };
        walk(outcome.root, 1);
        assert.ok(elements <= 100);
      },
    };
  });
}
