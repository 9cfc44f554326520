// Sample viewers of `cargo xtask dev`, and pasted tokens. A token is kept for this tab alone (sessionStorage).
import { createContext } from "preact";
import { useContext, useState } from "preact/hooks";
import { good, send } from "./api";
import { tidy } from "./token";

export interface Viewer {
  name: string;
  why: string;
  token: string;
  item_id: number;
  /** `namespace:subject`, as AuthZEN names a customer. */
  customer: string;
  /** The customer's number, where the catalogue has the customer. */
  number: number | null;
  merchant_id: number | null;
  is_merchant: boolean;
}

export interface SampleItem {
  id: number;
  title: string;
  merchant_id: number;
}

export interface Samples {
  viewers: Viewer[];
  items: SampleItem[];
  /** A token that may ask about every customer and see why. */
  support: string;
  /** A token that may read the snapshot. */
  operator: string;
  /** What `cargo xtask token` needs to find this run, with a blank before it. */
  option: string;
}

/** The samples of a local run; `undefined` where there are none. */
export async function loadSamples(): Promise<Samples | undefined> {
  return good<Samples>(await send("GET", "/console/samples.json"));
}

/** Whose work a token is for. */
export type Kind = "viewer" | "support" | "operator";

const keyOf = (kind: Kind) => `admit.console.${kind}`;

function stored(kind: Kind): string {
  try {
    return sessionStorage.getItem(keyOf(kind)) ?? "";
  } catch {
    return "";
  }
}

/** A pasted token and its setter. */
export function usePasted(kind: Kind): Pasted {
  const [token, setToken] = useState(() => stored(kind));
  const put = (text: string) => {
    const tidied = tidy(text);
    setToken(tidied);
    try {
      if (tidied === "") sessionStorage.removeItem(keyOf(kind));
      else sessionStorage.setItem(keyOf(kind), tidied);
    } catch {
      // The tab may not store anything; the token stays in memory.
    }
  };
  return [token, put];
}

export type Pasted = [token: string, setToken: (token: string) => void];

export interface Session {
  samples: Samples | undefined;
  support: Pasted;
  operator: Pasted;
}

export const SessionContext = createContext<Session>({ samples: undefined, support: ["", () => {}], operator: ["", () => {}] });

export function useSession(): Session {
  return useContext(SessionContext);
}

/** The token that asks for support staff or operators: a pasted one, else the sample's. Empty if there is none. */
export function tokenOf({ samples, support, operator }: Session, kind: "support" | "operator"): string {
  const [pasted] = kind === "support" ? support : operator;
  return pasted !== "" ? pasted : (samples?.[kind] ?? "");
}
