// Questions in the form of AuthZEN: may this customer play this item, why, and at which moment.
import { type Exchange, good, remember, send } from "./api";

/** A grant that was looked at. */
export interface Considered {
  source: string;
  found_in?: string;
  obstacle: string | null;
  access_id: number | null;
  license_id: string | null;
  created_at: number | null;
  starts_at: number | null;
  expires_at: number | null;
}

export interface Decision {
  decision: boolean;
  context: {
    reason: string;
    expires_at?: number;
    seq?: number;
    as_of?: number;
    considered?: Considered[];
    origin?: unknown;
    error?: { status: number; message: string };
  };
}

export interface Question {
  token: string;
  /** `namespace:subject`. */
  customer: string;
  item: number;
  /** Unix seconds; the present without it. */
  time?: number | undefined;
  /** Whether the origin is asked, too. */
  withOrigin?: boolean;
}

/** Asks for a decision. */
export async function decide(question: Question, signal?: AbortSignal): Promise<Exchange> {
  const { token, customer, item, time, withOrigin } = question;
  const context = { ...(time === undefined ? {} : { time }), ...(withOrigin ? { origin: true } : {}) };
  const json = {
    subject: { type: "customer", id: customer },
    action: { name: "play" },
    resource: { type: "item", id: String(item) },
    ...(Object.keys(context).length === 0 ? {} : { context }),
  };
  const exchange = await send("POST", "/access/v1/evaluation", { token, json, ...(signal ? { signal } : {}) });
  remember(exchange, customer);
  return exchange;
}

/** The decision in an answer, if it is one. */
export function decisionIn(exchange: Exchange | undefined): Decision | undefined {
  const decision = good<Decision>(exchange);
  return typeof decision?.decision === "boolean" ? decision : undefined;
}

/** A rule for tokens, and what came of it. */
export interface Rule {
  rule: string;
  result: "passed" | "failed" | "not_reached";
  reason?: string;
  detail?: string;
}

export interface Inspected {
  accepted: boolean;
  status: number;
  rules: Rule[];
  principal: { customer: string | null; merchant_id?: number | null; account_id?: number | null } | null;
  rights: { right: string; given: boolean; reason?: string; detail?: string }[];
}

/** What the service makes of a token. */
export function inspect(explainer: string, token: string, signal?: AbortSignal): Promise<Exchange> {
  return send("POST", "/tokens/inspect", { token: explainer, json: { token }, ...(signal ? { signal } : {}) });
}
