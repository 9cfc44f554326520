// The entrypoint `Entitlements`, which other Workers call over a service binding: docs/rpc.md.
import { WorkerEntrypoint } from "cloudflare:workers";

/** The props of a binding. Any other member is an error. */
export interface EntitlementsProps {
  /** Only items and customers of the merchant with this number. */
  merchant?: number;
  /** Only these methods. */
  capabilities?: Method[];
}

export type Method = "check" | "checkMany" | "licenses" | "playback" | "explain";

/** The viewer's device, as `cf-connecting-ip` and `request.cf.country` of the viewer's own request have it. */
export interface Viewer {
  address?: string | null;
  country?: string | null;
}

/**
 * Why there is no answer, or no access. Only 402 is a denial.
 *
 * - 400: only `explain`: the customer is too long, for instance
 * - 401: the token is missing, invalid or expired
 * - 402: no access
 * - 403: the props do not allow it, or the token's issuer does not: `reason`
 * - 404: unknown item; for `playback` also an item for which nothing can be signed
 * - 422: invalid arguments
 * - 429: too many requests
 * - 500: invalid configuration, or an error of the service
 * - 503: not known at present
 */
export interface Refusal {
  code: 400 | 401 | 402 | 403 | 404 | 422 | 429 | 500 | 503;
  message: string;
  /** Of 403. */
  reason?: "may_not_call" | "other_merchant" | "may_not_view" | (string & {});
}

/** Times are unix seconds. */
export interface Granted {
  access: true;
  /** When the access ends, or is renewed; 253402300799 if never. */
  expires_at: number;
  starts_at?: number;
  created_at: number;
  /** 0 for a licence or a free item. */
  access_id: number;
  /** The item's merchant. */
  merchant_id: number;
}

export interface Refused extends Refusal {
  access: false;
}

export interface Unanswered extends Refusal {
  ok: false;
}

export type Check = Granted | Refused;

/** An item of `checkMany`. */
export type Checked =
  | { id: number; access: true; expires_at: number }
  | { id: number; access: false; code: Refusal["code"] };

export type Checks = { ok: true; items: Checked[] } | Unanswered;

export interface License {
  item: {
    license_type: string;
    name: string;
    status: "ACTIVE" | "OVERDUE" | "CANCELLED";
    renew_status: string;
    renews_on: string | null;
    interval_length: number;
    interval_unit: string;
    billing_cycle_anchor: string | null;
    date_added: string;
    trial: boolean;
    trial_duration?: number;
    trial_reset?: number;
  };
  /** As it was published, also with `locales` and `price_tier`, in the publisher's form. */
  license: { id: string; internal_id: string; name: string; description: string; rank: number };
}

export type Licenses = { ok: true; plan_id: string | null; client_id: string | null; items: License[] } | Unanswered;

/** Something that a player can play now. */
export interface Source {
  type: "jw" | "cloudfront" | "cloudflare_stream" | "mux" | "cat" | "akamai" | "hmac_url";
  /** `null` if only the player knows the platform's URL. */
  url: string | null;
  token: string;
  expires_at: number;
}

export type Playback = { access: true; expires_at: number; sources: Source[] } | Refused;

/** A grant that was looked at. */
export interface Considered {
  /** The kind of the grant. */
  source: string;
  /** `shard`, `delta`, `directory`, or `origin` for a grant of the origin. */
  found_in: string;
  /** Why it does not count. */
  obstacle: string | null;
  access_id: number | null;
  license_id: string | null;
  /** `null` for a grant of the origin. */
  created_at: number | null;
  starts_at: number | null;
  expires_at: number;
}

export interface Explained {
  ok: true;
  access: boolean;
  reason: string;
  expires_at?: number;
  seq?: number;
  /** Only for tokens of an issuer with the capability `explain`. */
  as_of?: number;
  considered?: Considered[];
}

export type Explanation = Explained | Unanswered;

export declare class Entitlements extends WorkerEntrypoint<unknown, EntitlementsProps> {
  /** May the owner of the token play the item now? */
  check(token: string, itemId: number, viewer?: Viewer): Promise<Check>;
  /** The same for up to 200 items, each once, in the order of `itemIds`. */
  checkMany(token: string, itemIds: number[], viewer?: Viewer): Promise<Checks>;
  /** The licences of the token's owner. */
  licenses(token: string, viewer?: Viewer): Promise<Licenses>;
  /** Signs the item's media, if the owner of the token may play it now. */
  playback(token: string, itemId: number, viewer?: Viewer): Promise<Playback>;
  /**
   * Why may the customer play the item now, or not? `customer` is `<namespace>:<subject>`, the token that of a service,
   * or the customer's own.
   */
  explain(token: string, itemId: number, customer: string): Promise<Explanation>;
}
