// The bodies of the routes for operators (docs/api.md).

export interface Sizes {
  places: number;
  shards: number | null;
  measured: number;
  entries: number;
  bytes: number;
  smallest_bytes: number;
  median_bytes: number;
  largest_bytes: number;
  histogram: { up_to_bytes: number; shards: number }[];
}

export interface Version {
  seq: number;
  origin_seq: number;
  as_of: number;
  published_at: number;
  customers: number | null;
  items: number | null;
  set_aside: number;
}

export interface Changed {
  added: number;
  changed: number;
  removed: number;
}

export interface Report {
  now: number;
  head: {
    format: number;
    aud: string | null;
    seq: number;
    origin_seq: number;
    as_of: number;
    age_secs: number;
    changed_at: number;
    unchanged_secs: number;
    published_at: number;
    published_by: string | null;
    customers: number | null;
    items: number | null;
    customers_in_shards: number;
    items_in_shards: number;
    delta_customers: Changed | null;
    delta_items: Changed | null;
    set_aside: number;
    revoked: number;
    signature: string;
  } | null;
  kid: string | null;
  stored: { seq: number; as_of: number; published_at: number; problem: string | null } | null;
  objects: {
    delta: { bytes: number; budget_bytes: number; customers: number; items: number } | null;
    customers: Sizes;
    items: Sizes;
  } | null;
  history: { versions_total: number | null; versions: Version[]; lease: { host: string; until: string; secs_left: number } | null };
  configuration: { warnings: { key: string; problem: string; change: string }[]; unset: string[] };
}

/** Accesses and subscriptions that only one of two versions has. */
export interface Grants {
  accesses: { id: number; item_id: number; starts_at: number | null; expires_at: number | null }[];
  licenses: { license_id: string; status: string; starts_at: number | null; expires_at: number | null }[];
  unlisted: number;
}

export interface CustomerChange {
  how: "added" | "removed" | "changed";
  id: number;
  uuid: string;
  gained?: Grants;
  lost?: Grants;
}

export interface ItemChange {
  how: "added" | "removed" | "changed";
  id: number;
  title?: string;
}

export interface Kind<T> extends Changed {
  changes: T[];
}

export interface Diff {
  before?: { seq: number };
  after?: { seq: number };
  directory?: Record<string, Changed>;
  customers: Kind<CustomerChange>;
  items: Kind<ItemChange>;
  page: { next_token: string };
}

/** Puts a page behind those before it. */
export function joined(whole: Diff | undefined, next: Diff): Diff {
  if (!whole) return next;
  const add = <T,>(one: Kind<T>, other: Kind<T>): Kind<T> => ({
    added: one.added + other.added,
    changed: one.changed + other.changed,
    removed: one.removed + other.removed,
    changes: [...one.changes, ...other.changes],
  });
  return { ...whole, customers: add(whole.customers, next.customers), items: add(whole.items, next.items), page: next.page };
}
