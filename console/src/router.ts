// The page and its parameters, in the fragment of the URL: `#/support?who=vendor:1&item=5101`. A fragment is never sent to a
// server, and no token is ever in it.
import { useEffect, useState } from "preact/hooks";

export const PAGES = ["playground", "support", "operations", "reference"] as const;
export type Page = (typeof PAGES)[number];

export interface Route {
  page: Page;
  params: URLSearchParams;
}

/** Reads a fragment; anything unknown is the first page. */
export function readRoute(fragment: string): Route {
  const [path = "", query = ""] = fragment.replace(/^#\/?/, "").split("?", 2);
  const page = PAGES.find((known) => known === path) ?? PAGES[0];
  return { page, params: new URLSearchParams(query) };
}

/** The fragment for a page with these parameters; empty ones are left out. */
export function fragmentOf(page: Page, params: Record<string, string | number | undefined> = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return `#/${page}${text === "" ? "" : `?${text}`}`;
}

/** Puts the state of a page into the URL, without a step in the history. */
export function keep(page: Page, params: Record<string, string | number | undefined>): void {
  history.replaceState(null, "", fragmentOf(page, params));
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => readRoute(location.hash));
  useEffect(() => {
    const onChange = () => setRoute(readRoute(location.hash));
    addEventListener("hashchange", onChange);
    return () => removeEventListener("hashchange", onChange);
  }, []);
  return route;
}
