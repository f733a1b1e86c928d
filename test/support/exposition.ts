// The Prometheus text format, read back: as strictly as what a scraper needs of it.

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** Fails on what a scraper would refuse: samples without a type, a name twice, a line that is none. */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line of an exposition ends too');
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>();
  const seen = new Set<string>();
  let help = '';
  let current = '';
  for (const line of text.trimEnd().split('\n')) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment !== null) {
      const [, kind, name = '', rest = ''] = comment;
      if (kind === 'HELP') help = rest;
      else {
        if (families.has(name)) throw new Error(`${name} stands in two places`);
        families.set(name, { type: rest, help, samples: [] });
        current = name;
      }
      continue;
    }
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (sample === null) throw new Error(`this is no line of an exposition: ${line}`);
    const [, name = '', labels = '', value = ''] = sample;
    if (name.replace(/_(bucket|sum|count)$/, '') !== current && name !== current)
      throw new Error(`${name} stands among the samples of ${current}`);
    const key = `${name}{${labels}}`;
    if (seen.has(key)) throw new Error(`${key} stands there twice`);
    seen.add(key);
    families.get(current)!.samples.push({ name, labels: labelsOf(labels), value: numberOf(value, line) });
  }
  return families;
}

function labelsOf(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)].map(([, name = '', value = '']) => [
      name,
      value.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped)),
    ]),
  );
}

function numberOf(text: string, line: string): number {
  const value = Number(text.replace('Inf', 'Infinity'));
  if (Number.isNaN(value) && text !== 'NaN') throw new Error(`no number: ${line}`);
  return value;
}

/** The one sample of these labels. */
export function valueOf(
  families: Map<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const found = [...families.values()]
    .flatMap(({ samples }) => samples)
    .filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    );
  if (found.length !== 1) throw new Error(`${found.length} samples of ${name}${JSON.stringify(labels)}`);
  return found[0]!.value;
}
