// Moments and spans, for people. Moments are unix seconds.

/** What the edge shows for an access that never ends. */
export const WITHOUT_END = 253_402_300_799;

const DAY_SECS = 86_400;
const FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 365 * DAY_SECS], ["month", 30 * DAY_SECS], ["day", DAY_SECS], ["hour", 3_600], ["minute", 60],
];

export function nowSecs(): number {
  return Math.floor(Date.now() / 1000);
}

/** A moment; real data has some before the year 1. */
export function moment(secs: number | null | undefined): string {
  if (secs === null || secs === undefined || secs >= WITHOUT_END) return "without end";
  if (secs < -62_135_000_000) return "always";
  return FORMAT.format(secs * 1000);
}

/** How far a moment is from now: "3 days ago", "in 2 hours". */
export function relative(secs: number, now: number): string {
  const away = secs - now;
  const [unit, length] = UNITS.find(([, length]) => Math.abs(away) >= length) ?? ["second", 1];
  return RELATIVE.format(Math.round(away / length), unit);
}

/** A moment and how far it is from now. */
export function momentAndDistance(secs: number | null | undefined, now: number): string {
  const is_date = typeof secs === "number" && secs < WITHOUT_END && secs > -62_135_000_000;
  return is_date ? `${moment(secs)} (${relative(secs, now)})` : moment(secs);
}

/** A span: "2 min 5 s". */
export function span(secs: number): string {
  if (secs < 60) return `${secs} s`;
  if (secs < 3_600) return `${Math.floor(secs / 60)} min ${secs % 60} s`;
  if (secs < DAY_SECS) return `${Math.floor(secs / 3_600)} h ${Math.floor((secs % 3_600) / 60)} min`;
  return `${Math.floor(secs / DAY_SECS)} d ${Math.floor((secs % DAY_SECS) / 3_600)} h`;
}

/** The value of a `datetime-local` field. */
export function toField(secs: number): string {
  const date = new Date(secs * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** The moment in a `datetime-local` field. */
export function fromField(value: string): number | undefined {
  const time = new Date(value).getTime();
  return Number.isNaN(time) ? undefined : Math.floor(time / 1000);
}
