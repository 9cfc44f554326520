// Buying and revoking, by the sample merchant's token: a grant reaches the next check at once, a revocation with the next
// snapshot.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Exchange, good, send } from "../api";
import { Problem } from "../parts/basic";
import { readItem } from "../parts/item_picker";
import { useLive } from "../parts/use_exchange";
import { useSession } from "../session";
import type { Asker } from "./page";

interface Fee {
  id: number;
  amount: number;
  currency: string;
  description: string;
}

/** Milliseconds between two looks at whether a revocation has arrived, and how long it may take. */
const LOOK_MS = 1_000;
const LOOKS = 120;

export function Buy(props: { asker: Asker; item: number; status: number | undefined; onChanged: () => void }) {
  const { asker, item, status, onChanged } = props;
  const { samples } = useSession();
  const record = useLive(() => readItem(item), [item]).value;
  const fees = good<Fee[]>(useLive((signal) => send("GET", `/items/${item}/access-fees`, { signal }), [item]).value);
  const merchant = samples?.viewers.find((viewer) => viewer.is_merchant && viewer.merchant_id === record?.merchant_id);
  const [fee, setFee] = useState<number>();
  const [failed, setFailed] = useState<Exchange>();
  const [note, setNote] = useState("");
  const [isBusy, setIsBusy] = useState(false);
  const stop = useRef(new AbortController());
  useEffect(() => {
    // Another viewer or item: what is awaited no longer matters.
    setFailed(undefined);
    setNote("");
    setIsBusy(false);
    return () => {
      stop.current.abort();
      stop.current = new AbortController();
    };
  }, [asker.token, item]);

  const { number } = asker;
  if (!samples) return null;
  if (!merchant || number === undefined || fees === undefined || fees.length === 0) {
    return <p class="help">{whyNot(merchant !== undefined, number, fees)}</p>;
  }
  const chosen = fees.find(({ id }) => id === fee) ?? fees[0]!;
  const act = async (work: (signal: AbortSignal) => Promise<void>) => {
    const { signal } = stop.current;
    setIsBusy(true);
    setFailed(undefined);
    try {
      await work(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      return;
    }
    setIsBusy(false);
  };
  const buy = () => act(async (signal) => {
    setNote("Buying …");
    const form = { item_id: String(item), consumer_id: String(number), access_fee_id: String(chosen.id) };
    const bought = await send("POST", "/items/access", { token: merchant.token, form, signal });
    if (bought.status !== 201) return fail(bought);
    setNote("Bought. The viewer can play at once.");
    onChanged();
  });
  const revoke = () => act(async (signal) => {
    setNote("Revoking …");
    const path = `/items/${item}/access?consumer_id=${number}`;
    const revoked = await send("DELETE", path, { token: merchant.token, signal });
    if (revoked.status !== 204) return fail(revoked);
    setNote("Revoked at the origin. The edge grants until it learns that with the next snapshot; waiting …");
    for (let look = 0; look < LOOKS; look += 1) {
      const check = await send("GET", `/items/${item}/access`, { token: asker.token, signal });
      if (check.status !== 200) {
        setNote("Revoked, and published.");
        return onChanged();
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      signal.throwIfAborted();
    }
    setNote("Revoked at the origin, but the viewer may still play: another grant opens the item, or no snapshot came.");
    onChanged();
  });
  const fail = (exchange: Exchange) => {
    setNote("");
    setFailed(exchange);
  };
  return (
    <>
      {status === 402 && (
        <>
          <select aria-label="Fee" value={chosen.id} onChange={(event) => setFee(Number(event.currentTarget.value))}>
            {fees.map(({ id, amount, currency, description }) => (
              <option key={id} value={id}>{description}, {amount} {currency}</option>
            ))}
          </select>
          <button type="button" class="primary" disabled={isBusy} onClick={buy}>Buy</button>
        </>
      )}
      {status === 200 && <button type="button" disabled={isBusy} onClick={revoke}>Revoke</button>}
      {note !== "" && <p class="note" role="status">{note}</p>}
      {failed && <Problem exchange={failed} what="the purchase" needs="the role of a merchant" />}
    </>
  );
}

/** Why nothing can be bought here. */
function whyNot(hasMerchant: boolean, number: number | undefined, fees: Fee[] | undefined): string {
  if (fees !== undefined && fees.length === 0) return "The item is not sold by itself.";
  if (number === undefined) return "Nothing can be bought here: the customer's number is not known.";
  if (!hasMerchant) return "Nothing can be bought here: no sample token is of the item's merchant.";
  return "";
}
