// Questions to the node that served the page, and to nobody else.

export interface Failure {
  readonly status: number;
  readonly message: string;
}

export class AskError extends Error implements Failure {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Rejects with AskError: status 0 when there is no answer in time. */
export async function ask<T>(
  path: string,
  query: Readonly<Record<string, string | number | undefined>> = {},
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
): Promise<T> {
  const { timeoutMs = 15_000, signal } = options;
  const late = AbortSignal.timeout(timeoutMs);
  let response: Response;
  try {
    response = await fetch(url(path, query), {
      headers: { Accept: 'application/json' },
      cache: 'no-store',
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new AskError(0, late.aborted ? `no answer within ${timeoutMs / 1000} s` : 'no connection to the node');
  }
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as T;
  throw new AskError(response.status, messageOf(text) ?? `the node answered ${response.status}`);
}

export function url(path: string, query: Readonly<Record<string, string | number | undefined>> = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return text === '' ? path : `${path}?${text}`;
}

/** Of an error's document; undefined when it is none. */
export function messageOf(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}
