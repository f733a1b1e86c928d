// package-lock.json must install from whatever registry a machine is set up with.

/**
 * What ties the lock file to one registry. Pages where a maintainer asks for funding are the only addresses it may carry.
 * @param {{ packages?: Record<string, Record<string, unknown>> }} lock
 * @returns {string[]}
 */
export function lockFileProblems(lock) {
  /** @type {string[]} */
  const problems = [];
  for (const [path, { funding: _, ...entry }] of Object.entries(lock.packages ?? {})) {
    for (const [field, value] of Object.entries(entry)) {
      const address = /\w+:\/\/[^"\s]+/.exec(JSON.stringify(value));
      if (address !== null) {
        problems.push(
          `package-lock.json: ${path} has an address in ${field}: ${address[0]}. Install with the .npmrc of this repository.`,
        );
      }
    }
    const isLocal = entry['link'] === true || !path.includes('node_modules/');
    if (!isLocal && typeof entry['integrity'] !== 'string') {
      problems.push(`package-lock.json: ${path} has no integrity hash.`);
    }
  }
  return problems;
}
