// "Why not item X?": what the snapshot says, and what the origin says beside it.
import { useEffect, useMemo, useState } from "preact/hooks";
import { type Exchange, FROM_ORIGIN, send } from "../api";
import { decide, type Decision, decisionIn } from "../decision";
import { Loading, Notice, Panel, Problem } from "../parts/basic";
import { ItemPicker, readItem } from "../parts/item_picker";
import { useLive } from "../parts/use_exchange";
import { ConsideredTable } from "../parts/why";
import { useSession } from "../session";
import { moment, nowSecs } from "../time";
import { reasonInWords } from "../words";

export function Question(props: {
  token: string;
  customer: string | undefined;
  customerToken: string | undefined;
  item: number | undefined;
  time: number | undefined;
  onItem: (item: number) => void;
}) {
  const { token, customer, customerToken, item, time, onItem } = props;
  const { samples } = useSession();
  const [withOrigin, setWithOrigin] = useState(false);
  useEffect(() => setWithOrigin(false), [customer, item, time]);
  const title = useLive(item === undefined ? undefined : () => readItem(item), [item]).value?.title;
  const choices = useMemo(
    () => samples?.items ?? (item === undefined ? [] : [{ id: item, title }]), [samples, item, title],
  );
  const answer = useLive(
    customer === undefined || item === undefined
      ? undefined
      : (signal) => decide({ token, customer, item, time, withOrigin }, signal),
    [token, customer, item, time, withOrigin],
  );
  return (
    <Panel title="May they play it, and why?" id="question">
      <ItemPicker label="Item" choices={choices} item={item} onItem={onItem} help="By title or number." />
      {customer === undefined && item !== undefined && (
        <Notice>The record does not say by which name the customer is known. Find the customer by namespace:subject to ask about items.</Notice>
      )}
      {answer.isLoading && !answer.value && <Loading what="the answer" />}
      {answer.value && item !== undefined && (
        <Answer
          exchange={answer.value} withOrigin={withOrigin} onOrigin={() => setWithOrigin(true)} time={time}
          item={item} customerToken={customerToken}
        />
      )}
    </Panel>
  );
}

function Answer(props: {
  exchange: Exchange;
  withOrigin: boolean;
  onOrigin: () => void;
  time: number | undefined;
  item: number;
  customerToken: string | undefined;
}) {
  const { exchange, withOrigin, onOrigin, time, item, customerToken } = props;
  const decision = decisionIn(exchange);
  if (!decision) return <Problem exchange={exchange} what="the decision" needs="a token of an issuer with the capabilities “explain” and “check”" />;
  const { decision: isGranted, context } = decision;
  const when = time === undefined ? "now" : `on ${moment(time)}`;
  return (
    <>
      <p class="reason" aria-live="polite">
        <span class={isGranted ? "tag good" : "tag bad"}>{isGranted ? "granted" : "denied"} {when}</span> {reasonInWords(context.reason)}
      </p>
      {context.considered
        ? <ConsideredTable considered={context.considered} now={nowSecs()} />
        : <Notice>This token sees the answer only, not the grants behind it.</Notice>}
      <div class="row">
        {!withOrigin && time === undefined && (
          <button type="button" onClick={onOrigin}>Ask the origin, too</button>
        )}
      </div>
      {withOrigin && <Beside decision={decision} item={item} customerToken={customerToken} />}
    </>
  );
}

interface Said {
  decision?: boolean;
  reason?: string | null;
  error?: { status: number; message: string };
}

/** What an answer has of the origin's word. */
function originIn(origin: unknown): Said | undefined {
  return typeof origin === "object" && origin !== null ? (origin as Said) : undefined;
}

/** The origin's answer beside that of the snapshot. */
function Beside(props: { decision: Decision; item: number; customerToken: string | undefined }) {
  const { decision, item, customerToken } = props;
  const said = originIn(decision.context.origin);
  // An origin that does not answer staff may answer the customer.
  const isAskedAsCustomer = customerToken !== undefined && said?.decision === undefined;
  const insisting = useLive(
    !isAskedAsCustomer
      ? undefined
      : (signal) => send("GET", `/items/${item}/access`, { token: customerToken, minSeq: FROM_ORIGIN, signal }),
    [isAskedAsCustomer, item, customerToken],
  );
  if (said === undefined && customerToken === undefined) {
    return (
      <Notice>
        The edge said nothing of the origin: it has none behind it, or asks it only in the customer's own name. Find the customer by their token to ask so.
      </Notice>
    );
  }
  return (
    <div class="sides">
      <div>
        <h3>The snapshot</h3>
        <p><span class={decision.decision ? "tag good" : "tag bad"}>{decision.decision ? "granted" : "denied"}</span> {reasonInWords(decision.context.reason)}</p>
      </div>
      <div>
        <h3>The origin, now</h3>
        {said?.decision !== undefined && (
          <p><span class={said.decision ? "tag good" : "tag bad"}>{said.decision ? "granted" : "denied"}</span> {reasonInWords(said.reason ?? "")}</p>
        )}
        {said?.error !== undefined && (
          <Notice kind="bad">The origin did not answer this token: {said.error.message} ({said.error.status}).</Notice>
        )}
        {isAskedAsCustomer && <Insisting exchange={insisting.value} />}
      </div>
    </div>
  );
}

/** A check in the customer's name that insists on the origin's answer. */
function Insisting(props: { exchange: Exchange | undefined }) {
  const { exchange } = props;
  if (!exchange) return <Loading what="the origin's answer" />;
  // Only answers of the origin say how many of its changes they reflect.
  const seq = exchange.headers.find(([name]) => name === "entitlement-seq")?.[1];
  if (seq === undefined) return <Notice kind="bad">The origin did not answer, so the snapshot did: {exchange.status}.</Notice>;
  const isGranted = exchange.status === 200;
  return (
    <p>
      <span class={isGranted ? "tag good" : "tag bad"}>{isGranted ? "granted" : "denied"}</span>{" "}
      It answered {exchange.status} to a check in the customer's name, with {seq} changes.
    </p>
  );
}
