// An answer of the node to a question that a panel asks: again when the question changes, and every so often if it should stay of now.

import { useSignalEffect } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { beats } from '../data/live.ts';

export interface Asked<T> {
  readonly value: T | undefined;
  /** Why there is no newer one. */
  readonly problem: string;
  readonly busy: boolean;
}

/** `every`: in beats of the live figures; 0: once. The last answer stays until there is one to the new question. */
export function useAsked<T>(
  question: string,
  ask: () => Promise<T>,
  every = 0,
): Asked<T> & { readonly again: () => void } {
  const [asked, set] = useState<Asked<T>>({ value: undefined, problem: '', busy: true });
  const current = useRef({ question, ask, asking: false });
  current.current.ask = ask;
  const run = (): void => {
    const of = current.current;
    if (of.asking) return;
    const asking = of.question;
    of.asking = true;
    set((before) => ({ ...before, busy: true }));
    of.ask().then(
      (value) => settle(asking, { value, problem: '', busy: false }),
      (error: unknown) =>
        settle(asking, { problem: error instanceof Error ? error.message : String(error), busy: false }),
    );
  };
  const settle = (asking: string, answer: Partial<Asked<T>>): void => {
    const of = current.current;
    of.asking = false;
    if (of.question === asking) set((before) => ({ ...before, ...answer }));
    else run();
  };
  useEffect(() => {
    current.current.question = question;
    run();
  }, [question]);
  useSignalEffect(() => {
    const beat = beats.value;
    if (every > 0 && beat % every === 0) run();
  });
  return { ...asked, again: run };
}
