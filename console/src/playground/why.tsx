// Why: the decision with every grant that was looked at, now or at another moment.
import { useEffect, useState } from "preact/hooks";
import { decide, decisionIn } from "../decision";
import { Facts, Loading, Notice, Panel, Problem } from "../parts/basic";
import { MomentPicker } from "../parts/moment";
import { useLive } from "../parts/use_exchange";
import { ConsideredTable } from "../parts/why";
import { tokenOf, useSession } from "../session";
import { moment, nowSecs } from "../time";
import { reasonInWords } from "../words";
import type { Asker } from "./page";

/** Milliseconds without a move of the slider before the question is asked. */
const PAUSE_MS = 150;

export function WhyPanel(props: {
  asker: Asker;
  item: number;
  turn: number;
  isRefused: boolean;
  /** Whether the check above was granted. */
  isGranted: boolean;
}) {
  const { asker, item, turn, isRefused, isGranted } = props;
  const session = useSession();
  const support = tokenOf(session, "support");
  // Without a token of support staff the viewer's own is tried: its issuer may have the capability.
  const token = support !== "" ? support : asker.token;
  const { customer } = asker;
  const [time, setTime] = useState<number>();
  useEffect(() => setTime(undefined), [customer, item]);
  const answer = useLive(
    customer === undefined
      ? undefined
      : async (signal) => {
          if (time !== undefined) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
          signal.throwIfAborted();
          return decide({ token, customer, item, time }, signal);
        },
    [token, customer, item, time, turn],
  );
  return (
    <Panel title="Why?">
      {isRefused && <Notice>The token is the reason: above is the rule that it fails. With a token that is accepted, the answer would be this one.</Notice>}
      {customer === undefined ? (
        <Notice>
          {support === ""
            ? "Nobody here may look behind the answer: paste a token of support staff on the page “Support”."
            : "The token names no customer, so there are no grants to look at."}
        </Notice>
      ) : (
        <Answer answer={answer} time={time} isGranted={isGranted} onTime={setTime} />
      )}
    </Panel>
  );
}

function Answer(props: {
  answer: ReturnType<typeof useLive<Awaited<ReturnType<typeof decide>>>>;
  time: number | undefined;
  isGranted: boolean;
  onTime: (time: number | undefined) => void;
}) {
  const { answer, time, isGranted, onTime } = props;
  const exchange = answer.value;
  if (!exchange) return <Loading what="the reasons" />;
  const decision = decisionIn(exchange);
  if (!decision) {
    return <Problem exchange={exchange} what="why" needs="a token of an issuer with the capabilities “explain” and “check”" />;
  }
  const { reason, seq, as_of, considered } = decision.context;
  const when = time === undefined ? "now" : `on ${moment(time)}`;
  return (
    <>
      <p class="reason" aria-live="polite">
        <span class={decision.decision ? "tag good" : "tag bad"}>{decision.decision ? "granted" : "denied"} {when}</span>{" "}
        {reasonInWords(reason)}
      </p>
      {isGranted && !decision.decision && time === undefined && (
        <Notice>The edge got the grant above from the origin. The snapshot, of which this is the answer, will have it with its next version.</Notice>
      )}
      {considered === undefined ? (
        <Notice>This token sees the answer only. The grants behind it are for tokens of an issuer with the capability “explain”.</Notice>
      ) : (
        <ConsideredTable considered={considered} now={nowSecs()} />
      )}
      <MomentPicker time={time} onTime={onTime} />
      <p class="help">
        Moves the moment of the decision, over the records of now. Country and place do not matter: no decision depends on them.
      </p>
      <Facts
        rows={[
          ["Reason", <code>{reason}</code>],
          ["Version of the snapshot", seq === undefined ? "none: the origin itself answered" : String(seq)],
          ["True at the origin", as_of === undefined ? "not shown to this token" : moment(as_of)],
        ]}
      />
    </>
  );
}
