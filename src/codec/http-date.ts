// Times on the wire: HTTP dates (RFC 9110 section 5.6.7) and the ISO 8601 forms of shared access signatures.

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const daysLong = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

// A busy server formats the present and the same few times of its entries over and over: each second has its place here.
const formattedPlaces = 256;
const formattedSeconds = new Float64Array(formattedPlaces).fill(Number.NaN);
const formattedTexts: string[] = new Array(formattedPlaces).fill('');

/** `Sun, 06 Nov 1994 08:49:37 GMT`. */
export function formatHttpDate(timeMs: number): string {
  const second = Math.floor(timeMs / 1000);
  const place = ((second % formattedPlaces) + formattedPlaces) % formattedPlaces;
  if (formattedSeconds[place] !== second) {
    formattedTexts[place] = new Date(second * 1000).toUTCString();
    formattedSeconds[place] = second;
  }
  return formattedTexts[place] as string;
}

// "Sun, 06 Nov 1994 08:49:37 GMT"; "Sunday, 06-Nov-94 08:49:37 GMT" (RFC 850); "Sun Nov  6 08:49:37 1994" (asctime).
const imfFixdate = /^([A-Z][a-z]{2}), (\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/;
const rfc850 = /^([A-Z][a-z]{5,8}), (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d):(\d\d):(\d\d) GMT$/;
const asctime = /^([A-Z][a-z]{2}) ([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/;

let parsedText = '';
let parsedMs: number | undefined;

/** Milliseconds since 1970, or undefined. The day of the week must be a day, but need not be the right one. */
export function parseHttpDate(text: string): number | undefined {
  if (text !== parsedText) {
    parsedMs = parseAny(text);
    parsedText = text;
  }
  return parsedMs;
}

function parseAny(text: string): number | undefined {
  if (text.length > 40) return undefined;
  let parts = imfFixdate.exec(text);
  if (parts !== null) {
    const [, day, date, month, year, hour, minute, second] = parts;
    if (!days.includes(day as string)) return undefined;
    return fromParts(Number(year), months.indexOf(month as string), date, hour, minute, second);
  }
  parts = rfc850.exec(text);
  if (parts !== null) {
    const [, day, date, month, year, hour, minute, second] = parts;
    if (!daysLong.includes(day as string)) return undefined;
    // Two digits: nothing that is dated by a clock lies before 1970.
    const century = Number(year) < 70 ? 2000 : 1900;
    return fromParts(century + Number(year), months.indexOf(month as string), date, hour, minute, second);
  }
  parts = asctime.exec(text);
  if (parts === null) return undefined;
  const [, day, month, date, hour, minute, second, year] = parts;
  if (!days.includes(day as string)) return undefined;
  return fromParts(Number(year), months.indexOf(month as string), date, hour, minute, second);
}

// Refuses what no calendar has (31 June, 24:00): Date.UTC would roll it over.
function fromParts(
  year: number,
  month: number,
  date: string | undefined,
  hour: string | undefined = '0',
  minute: string | undefined = '0',
  second: string | undefined = '0',
): number | undefined {
  const [dayOfMonth, hours, minutes, seconds] = [Number(date), Number(hour), Number(minute), Number(second)];
  if (month < 0 || month > 11 || hours > 23 || minutes > 59 || seconds > 59) return undefined;
  const time = new Date(0);
  time.setUTCFullYear(year, month, dayOfMonth);
  if (time.getUTCMonth() !== month || time.getUTCDate() !== dayOfMonth) return undefined;
  return time.getTime() + ((hours * 60 + minutes) * 60 + seconds) * 1000;
}

const iso = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,7}))?)?(Z|[+-]\d\d:\d\d))?$/;

/** `YYYY-MM-DD`, `YYYY-MM-DDThh:mmZ`, `...:ssZ`, `...:ss.fffffffZ`; instead of Z an offset such as +02:00. */
export function parseIsoTime(text: string): number | undefined {
  if (text.length > 40) return undefined;
  const parts = iso.exec(text);
  if (parts === null) return undefined;
  const [, year, month, date, hour, minute, second, fraction, zone] = parts;
  const time = fromParts(Number(year), Number(month) - 1, date, hour, minute, second);
  if (time === undefined) return undefined;
  return time + Math.trunc(Number(`0.${fraction ?? '0'}`) * 1000) - offsetMs(zone);
}

function offsetMs(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const size = (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6))) * 60_000;
  return zone.startsWith('-') ? -size : size;
}

/** `2024-01-31T08:15:30.1230000Z`: seven digits, as the service writes times in XML, ids of snapshots and errors. */
export function formatIsoTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, -1)}0000Z`;
}
