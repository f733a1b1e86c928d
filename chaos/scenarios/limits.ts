/** The same for every region. */
export function forAll(regions: readonly string[], ms: number): Readonly<Record<string, number>> {
  return Object.fromEntries(regions.map((region) => [region, ms]));
}
