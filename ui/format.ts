// Figures with their units, as short as the eye wants them. Pure.

const NOT_KNOWN = '–';

/** `8 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. */
export function span(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return NOT_KNOWN;
  if (ms < 0) return `−${span(-ms)}`;
  if (ms < 10) return `${Math.round(ms * 10) / 10} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
  const [whole, unit, part, partUnit] =
    s < 3600 ? [60, 'min', 1, 's'] : s < 86_400 ? [3600, 'h', 60, 'min'] : [86_400, 'd', 3600, 'h'];
  const big = Math.floor(s / whole);
  const small = Math.floor((s - big * whole) / part);
  return small === 0 ? `${big} ${unit}` : `${big} ${unit} ${small} ${partUnit}`;
}

/** How old something is: in whole seconds, so that it does not flicker. */
export function age(ms: number): string {
  return ms < 60_000 ? `${Math.floor(ms / 1000)} s` : span(Math.floor(ms / 1000) * 1000);
}

/** With its sign: clock offsets. */
export function signed(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return NOT_KNOWN;
  const rounded = Math.abs(ms) < 10 ? Math.round(ms * 10) / 10 : Math.round(ms);
  return `${rounded > 0 ? '+' : rounded < 0 ? '−' : ''}${Math.abs(rounded)} ms`;
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? NOT_KNOWN : Math.round(value).toLocaleString('en-US');
}

/** Per second. */
export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined) return NOT_KNOWN;
  return value > 0 && value < 10 ? `${Math.round(value * 10) / 10}/s` : `${count(value)}/s`;
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return NOT_KNOWN;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [left, unit] = [value, 0];
  while (left >= 1024 && unit < units.length - 1) {
    left /= 1024;
    unit++;
  }
  return `${unit === 0 || left >= 100 ? Math.round(left) : left.toFixed(1)} ${units[unit]}`;
}

/** `14:03:07`, in the reader's time zone. */
export function timeOfDay(atMs: number): string {
  const at = new Date(atMs);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}

/** `2026-01-31 14:03:07.125`, in the reader's time zone. */
export function moment(atMs: number): string {
  const at = new Date(atMs);
  const date = [at.getFullYear(), at.getMonth() + 1, at.getDate()]
    .map((part) => String(part).padStart(2, '0'))
    .join('-');
  return `${date} ${timeOfDay(atMs)}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}
