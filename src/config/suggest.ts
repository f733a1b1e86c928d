// "Did you mean": the closest of the names that exist.

/** The candidate nearest to `word`, when it is near enough that a typing mistake explains it. */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = plain(word);
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, plain(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  // A third of the word may be wrong; in a word of two letters, one.
  return bestDistance <= Math.max(1, Math.floor(Math.max(wanted.length, 2) / 3)) ? best : undefined;
}

/** `max_skew_ms`, `max-skew-ms` and `maxSkewMs` are the same name, written by people of different habits. */
function plain(word: string): string {
  return word.toLowerCase().replaceAll(/[_\-. ]/g, '');
}

/** Damerau–Levenshtein without overlapping transpositions: insert, delete, replace, swap of neighbours. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, beforeLast[j - 2]! + 1);
      row.push(least);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
