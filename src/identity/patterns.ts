// Wildcards of roles and conditions: `*` is any text, `?` any one character.

/** In time linear in the text for each star: a pattern cannot be made to take long. `\*`, `\?` and `\\` are themselves. */
export function matchesPattern(text: string, pattern: string): boolean {
  let [at, p] = [0, 0];
  /** Where to go on, one character further, when what follows the last star does not fit. */
  let [starText, starPattern] = [-1, -1];
  while (at < text.length) {
    const sign = pattern[p];
    const isEscape = sign === '\\' && ['*', '?', '\\'].includes(pattern[p + 1] ?? '');
    if (sign === '*') {
      [starText, starPattern] = [at, ++p];
      continue;
    }
    const wanted = isEscape ? pattern[p + 1] : sign;
    if (wanted !== undefined && (wanted === text[at] || (sign === '?' && !isEscape))) {
      at++;
      p += isEscape ? 2 : 1;
      continue;
    }
    if (starPattern === -1) return false;
    [at, p] = [++starText, starPattern];
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}
