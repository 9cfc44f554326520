// Requests to the edge that serves the console. Every one goes to the same origin, with the token that the page names.

/** A request and what came of it. */
export interface Exchange {
  method: string;
  /** Path and query. */
  path: string;
  /** The body that was sent, as text. */
  sent: string | undefined;
  /** 0 if there was no answer. */
  status: number;
  headers: [string, string][];
  /** The answer's body as JSON, else as text. */
  body: unknown;
  /** The answer's `x-request-id`. */
  requestId: string | undefined;
  /** Milliseconds until the whole answer was there. */
  tookMs: number;
  /** When it was sent, in milliseconds. */
  sentAt: number;
}

/** What goes with a request. At most one of `json` and `form`. */
export interface Options {
  token?: string | undefined;
  json?: unknown;
  form?: Record<string, string>;
  signal?: AbortSignal;
  /** Insists on an answer that reflects so many of the origin's changes: the origin is asked. */
  minSeq?: number;
}

/** More changes than any snapshot has, so that the origin itself must answer. */
export const FROM_ORIGIN = Number.MAX_SAFE_INTEGER;

/** Milliseconds after which an edge that does not answer counts as down. */
const TIMEOUT_MS = 20_000;

/** How many requests of this tab are remembered, to find them by their id. In memory only, without tokens. */
const REMEMBERED = 200;

/** Who asked for a remembered request. */
export interface Asked {
  exchange: Exchange;
  who: string | undefined;
}

const asked: Asked[] = [];

/** The request of this tab whose answer had this id. */
export function byRequestId(id: string): Asked | undefined {
  return asked.find(({ exchange }) => exchange.requestId === id);
}

/** Notes who a request was about. */
export function remember(exchange: Exchange, who: string | undefined): void {
  asked.unshift({ exchange, who });
  asked.length = Math.min(asked.length, REMEMBERED);
}

/** Sends a request. Without an answer the status is 0; only an aborted request throws. */
export async function send(method: string, path: string, options: Options = {}): Promise<Exchange> {
  const { token, json, form, signal, minSeq } = options;
  const headers: Record<string, string> = {};
  if (token) headers["authorization"] = `Bearer ${token}`;
  if (json !== undefined) headers["content-type"] = "application/json";
  if (minSeq !== undefined) headers["entitlement-min-seq"] = String(minSeq);
  if (form) headers["content-type"] = "application/x-www-form-urlencoded";
  const sent = json !== undefined ? JSON.stringify(json, null, 2) : form && new URLSearchParams(form).toString();
  const sentAt = Date.now();
  const started = performance.now();
  const exchange: Exchange = {
    method, path, sent, status: 0, headers: [], body: undefined, requestId: undefined, tookMs: 0, sentAt,
  };
  try {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(path, {
      method,
      headers,
      ...(sent === undefined ? {} : { body: sent }),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      credentials: "omit",
      redirect: "error",
    });
    const text = await response.text();
    exchange.status = response.status;
    exchange.headers = [...response.headers];
    exchange.requestId = response.headers.get("x-request-id") ?? undefined;
    exchange.body = parsed(text);
  } catch (error) {
    if (signal?.aborted) throw error;
  }
  exchange.tookMs = Math.round(performance.now() - started);
  return exchange;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** The body of a good answer. */
export function good<T>(exchange: Exchange | undefined): T | undefined {
  return exchange && exchange.status >= 200 && exchange.status < 300 ? (exchange.body as T) : undefined;
}

/** The `message` of an error's body. */
export function messageOf(exchange: Exchange): string {
  const { body } = exchange;
  const message = typeof body === "object" && body !== null && "message" in body ? body.message : undefined;
  return typeof message === "string" ? message : "";
}
