// LIKE in the engine's words: in time that grows with the text, where the pattern is known.
import { text } from './sql.ts';

/** A longer pattern as an automaton takes memory rather than time. */
const patternCharactersMax = 1024;

/**
 * Whether `value` is like `pattern`, a text that stands in the query if `known` is given. The engine tries out what each
 * `%` may stand for, within each other, unless the pattern is known and has no other special character: an automaton finds
 * the same at once.
 */
export function likeSql(value: string, pattern: string, mark: string | undefined, known?: string): string {
  const automaton = known === undefined ? undefined : automatonOf(known, mark);
  if (automaton !== undefined) return `regexp_full_match(${value}, ${text(automaton)}, 's')`;
  return `(${value} LIKE ${pattern}${mark === undefined ? '' : ` ESCAPE ${text(mark)}`})`;
}

function automatonOf(pattern: string, mark: string | undefined): string | undefined {
  const characters = [...pattern];
  // What is no mark the engine refuses.
  const isMark = mark === undefined || /^[\0-\x7f]$/.test(mark);
  if (characters.length > patternCharactersMax || !isMark) return undefined;
  let automaton = '';
  let isPlain = mark === undefined;
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] as string;
    if (character === mark) {
      const next = characters[++at];
      // The engine refuses a pattern that ends so.
      if (next === undefined) return undefined;
      automaton += quoted(next);
    } else if (character === '%') automaton += automaton.endsWith('.*') ? '' : '.*';
    else if (character === '_') {
      automaton += '.';
      isPlain = false;
    } else automaton += quoted(character);
  }
  // With one `%` there is nothing to try out within it.
  return isPlain || automaton.split('.*').length < 3 ? undefined : automaton;
}

const quoted = (character: string): string => character.replace(/[\\^$.|?*+()[\]{}]/, '\\$&');
