// A request that belongs to what is shown: sent again when that changes, dropped when it is gone.
import { useCallback, useEffect, useState } from "preact/hooks";
import type { Exchange } from "../api";

export interface Live<T> {
  /** The last answer; stays while the next one is awaited. */
  value: T | undefined;
  isLoading: boolean;
  again: () => void;
}

/** Runs `ask` whenever one of `inputs` changes, and at `again`. `undefined` asks nothing. */
export function useLive<T>(ask: ((signal: AbortSignal) => Promise<T>) | undefined, inputs: unknown[]): Live<T> {
  const [state, setState] = useState<{ value: T | undefined; isLoading: boolean }>({ value: undefined, isLoading: false });
  const [turn, setTurn] = useState(0);
  const again = useCallback(() => setTurn((turn) => turn + 1), []);
  useEffect(() => {
    if (ask === undefined) {
      setState({ value: undefined, isLoading: false });
      return;
    }
    const controller = new AbortController();
    setState(({ value }) => ({ value, isLoading: true }));
    ask(controller.signal).then(
      (value) => controller.signal.aborted || setState({ value, isLoading: false }),
      () => controller.signal.aborted || setState({ value: undefined, isLoading: false }),
    );
    return () => controller.abort();
  }, [...inputs, turn]);
  return { ...state, again };
}

export type LiveExchange = Live<Exchange>;
