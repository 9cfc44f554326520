// "Why not item X?": what the snapshot says, and what the origin says beside it.
import { useEffect, useMemo, useState } from "preact/hooks";
import type { Exchange } from "../api";
import { decide, type Decision, decisionIn } from "../decision";
import { Code, Loading, Notice, Panel, Problem } from "../parts/basic";
import { ItemPicker, readItem } from "../parts/item_picker";
import { useLive } from "../parts/use_exchange";
import { ConsideredTable } from "../parts/why";
import { useSession } from "../session";
import { moment, nowSecs } from "../time";
import { reasonInWords } from "../words";

export function Question(props: {
  token: string;
  customer: string | undefined;
  item: number | undefined;
  time: number | undefined;
  onItem: (item: number) => void;
}) {
  const { token, customer, item, time, onItem } = props;
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
    <Panel title="May they play it, and why?">
      <ItemPicker label="Item" choices={choices} item={item} onItem={onItem} help="By title or number." />
      {customer === undefined && item !== undefined && (
        <Notice>The record does not say by which name the customer is known. Find the customer by namespace:subject to ask about items.</Notice>
      )}
      {answer.isLoading && !answer.value && <Loading what="the answer" />}
      {answer.value && (
        <Answer exchange={answer.value} withOrigin={withOrigin} onOrigin={() => setWithOrigin(true)} time={time} />
      )}
    </Panel>
  );
}

function Answer(props: { exchange: Exchange; withOrigin: boolean; onOrigin: () => void; time: number | undefined }) {
  const { exchange, withOrigin, onOrigin, time } = props;
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
      {withOrigin && <Beside decision={decision} />}
    </>
  );
}

/** The origin's answer beside that of the snapshot. */
function Beside({ decision }: { decision: Decision }) {
  const { origin } = decision.context;
  if (origin === undefined) {
    return <Notice>The edge said nothing of the origin: it has none behind it, or is of a version that does not ask it about other customers.</Notice>;
  }
  return (
    <div class="sides">
      <div>
        <h3>The snapshot</h3>
        <p><span class={decision.decision ? "tag good" : "tag bad"}>{decision.decision ? "granted" : "denied"}</span> {reasonInWords(decision.context.reason)}</p>
      </div>
      <div>
        <h3>The origin, now</h3>
        <Code value={origin} label="The origin's answer" />
      </div>
    </div>
  );
}
