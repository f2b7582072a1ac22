// Answers as they came over a bare connection, taken apart one after the other.

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Of text in latin1. `bodiless` tells of requests, by their order, whose answers have no body whatever their length says. */
export function rawAnswers(text: string, bodiless: (index: number) => boolean = () => false): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let at = 0;
  while (text.startsWith('HTTP/1.1 ', at)) {
    const end = text.indexOf('\r\n\r\n', at);
    if (end === -1) break;
    const [statusLine = '', ...lines] = text.slice(at, end).split('\r\n');
    const headers: Record<string, string> = {};
    for (const line of lines) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const status = Number(statusLine.slice(9, 12));
    const isBodiless = status < 200 || status === 204 || status === 304 || bodiless(answers.length);
    const length = isBodiless ? 0 : Number(headers['content-length'] ?? 0);
    at = end + 4 + length;
    if (status >= 200) answers.push({ status, headers, body: text.slice(end + 4, at) });
  }
  return answers;
}
