// What a failed command says on stderr, and the code it exits with (docs/OPERATIONS.md has the table).

import { EXIT_CODES, toCausewayError, type CausewayError } from '../errors/errors.ts';

/** Prints it and returns the exit code. */
export function reportFailure(thrown: unknown, json: boolean, write: (text: string) => void): number {
  const error = toCausewayError(thrown);
  write(json ? `${JSON.stringify({ error: errorDocument(error) })}\n` : `${errorText(error)}\n`);
  // A mistake of ours: whoever reports it needs to know where.
  if (error.code === 'INTERNAL' && !json) write(`${stackOf(thrown)}\n`);
  return error.exitCode;
}

function errorDocument(error: CausewayError): object {
  return {
    code: error.code,
    message: error.message,
    hint: error.hint,
    outcome: error.outcome,
    retriable: error.retriable,
    exitCode: error.exitCode,
    details: error.details,
  };
}

function errorText(error: CausewayError): string {
  const lines = [`causeway: ${error.message}`];
  if (error.outcome === 'unknown' && error.exitCode === EXIT_CODES.unavailable) {
    lines.push('  If this was a write: it may or may not have been applied.');
  }
  if (error.outcome === 'applied-locally')
    lines.push('  The write is durable in its region and on its way to the others.');
  if (error.hint !== undefined && error.hint !== '') lines.push(`  → ${error.hint}`);
  return lines.join('\n');
}

function stackOf(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? '') : '';
}
