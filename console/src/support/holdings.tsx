// What a customer holds, as rows with a line of time each.
import { useMemo } from "preact/hooks";
import { moment, momentAndDistance, WITHOUT_END } from "../time";
import { placeInWords } from "../words";

export interface Holding {
  type: "item" | "package" | "access" | "license";
  id?: number;
  item_id?: number;
  license_id?: string;
  title: string | null;
  license_name?: string | null;
  status?: string;
  created_at: number | null;
  starts_at: number | null;
  expires_at: number | null;
  renews_on: number | null;
  cancelled_at?: number | null;
  state: "past" | "running" | "future";
  source: string;
  purchase?: { amount: number; currency: string; payment_method: string; is_trial: boolean } | null;
}

const DAY_SECS = 86_400;
/** How far the drawn time reaches at most, to both sides of the moment. */
const REACH_SECS = 730 * DAY_SECS;
const WIDTH = 1000;
const HEIGHT = 20;

/** The drawn time: everything that is held, within reach, with some room around the moment. */
export function rangeOf(holdings: Holding[], at: number): [number, number] {
  const moments = holdings.flatMap(({ starts_at, created_at, expires_at }) => [starts_at ?? created_at, expires_at]);
  const near = moments.filter((secs): secs is number => secs !== null && Math.abs(secs - at) <= REACH_SECS);
  const first = Math.min(at - 30 * DAY_SECS, ...near);
  const last = Math.max(at + 30 * DAY_SECS, ...near);
  const room = (last - first) * 0.04;
  return [first - room, last + room];
}

const TYPES = { item: "Item", package: "Package", access: "Item that is not published", license: "Subscription" };
const TONES = { past: "tag", running: "tag good", future: "tag warn" };

export function Holdings(props: { holdings: Holding[]; at: number; onItem: (item: number) => void }) {
  const { holdings, at, onItem } = props;
  const range = useMemo(() => rangeOf(holdings, at), [holdings, at]);
  if (holdings.length === 0) return <p class="empty">This customer holds nothing.</p>;
  return (
    <>
      <p class="help">From {moment(range[0])} to {moment(range[1])}; the upright line is the moment of the question.</p>
      <ul class="holdings">
        {holdings.map((holding, row) => (
          <li key={row}>
            <div class="row">
              <strong>{holding.title ?? holding.license_name ?? `Item ${holding.item_id}`}</strong>
              <span class={TONES[holding.state]}>{holding.state}</span>
              <small>
                {described(holding)}
              </small>
              {holding.type === "item" && holding.item_id !== undefined && (
                <button type="button" class="small" onClick={() => onItem(holding.item_id!)}>Ask about it</button>
              )}
            </div>
            <Line holding={holding} range={range} at={at} />
            <small>{spoken(holding, at)}</small>
          </li>
        ))}
      </ul>
    </>
  );
}

/** The kind of a holding, its record, and where that is. */
function described(holding: Holding): string {
  const { type, item_id, id, status, source } = holding;
  return [
    item_id === undefined ? TYPES[type] : `${TYPES[type]} ${item_id}`,
    status?.toLowerCase(),
    id !== undefined && `access ${id}`,
    `in the ${placeInWords(source)}`,
  ].filter(Boolean).join(", ");
}

function spoken(holding: Holding, at: number): string {
  const { starts_at, created_at, expires_at, renews_on, purchase } = holding;
  return [
    `from ${momentAndDistance(starts_at ?? created_at, at)}`,
    expires_at === null ? "without end" : `until ${momentAndDistance(expires_at, at)}`,
    renews_on !== null && renews_on !== undefined && `renews ${momentAndDistance(renews_on, at)}`,
    holding.cancelled_at && `cancelled ${momentAndDistance(holding.cancelled_at, at)}`,
    purchase && `bought for ${purchase.amount} ${purchase.currency}${purchase.payment_method ? ` by ${purchase.payment_method}` : ""}${purchase.is_trial ? ", as a trial" : ""}`,
  ].filter(Boolean).join(" · ");
}

/** The line of time. The text beside it says the same. */
function Line(props: { holding: Holding; range: [number, number]; at: number }) {
  const { holding, range: [first, last], at } = props;
  const x = (secs: number) => Math.min(Math.max(((secs - first) / (last - first)) * WIDTH, 0), WIDTH);
  const from = x(holding.starts_at ?? holding.created_at ?? first);
  const end = holding.expires_at ?? holding.cancelled_at ?? WITHOUT_END;
  const width = Math.max(x(end) - from, 4);
  return (
    <svg class="line" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <rect x="0" y="9" width={WIDTH} height="2" class="rail" />
      <rect x={from} y="4" width={width} height="12" rx="3" class={holding.state} />
      <rect x={x(at) - 1} y="0" width="3" height={HEIGHT} class="moment-mark" />
    </svg>
  );
}
