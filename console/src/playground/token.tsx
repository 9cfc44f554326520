// The token, decoded, with every rule that it passes or fails.
import type { Exchange } from "../api";
import { good } from "../api";
import type { Inspected, Rule } from "../decision";
import { Code, Notice, Panel, Problem, Table } from "../parts/basic";
import { decode } from "../token";
import { moment } from "../time";
import { ruleInWords } from "../words";
import type { Asker } from "./page";

const RESULTS = { passed: "passed", failed: "failed", not_reached: "not reached" };
const TONES = { passed: "tag good", failed: "tag bad", not_reached: "tag" };

/** The claims that are moments. */
const MOMENTS = ["iat", "nbf", "exp"];

export function TokenPanel(props: { asker: Asker; exchange: Exchange | undefined }) {
  const decoded = decode(props.asker.token);
  const times = MOMENTS.filter((name) => typeof decoded?.claims[name] === "number");
  return (
    <Panel title="Token">
      <Judgement exchange={props.exchange} />
      {decoded && (
        <div class="sides">
          <div><h3>Header</h3><Code value={decoded.header} label="Header of the token" /></div>
          <div>
            <h3>Claims</h3>
            <Code value={decoded.claims} label="Claims of the token" />
            <p class="help">{times.map((name) => `${name}: ${moment(decoded.claims[name] as number)}`).join(" · ")}</p>
          </div>
        </div>
      )}
    </Panel>
  );
}

function Judgement(props: { exchange: Exchange | undefined }) {
  const { exchange } = props;
  if (!exchange) {
    return <Notice>Decoded in this page. Whether the edge accepts it, only a token of support staff may ask; nothing here says so.</Notice>;
  }
  const inspected = good<Inspected>(exchange);
  if (!inspected) return <Problem exchange={exchange} what="the rules for this token" needs="an issuer with the capability “explain”" />;
  return <Rules inspected={inspected} />;
}

export function Rules(props: { inspected: Inspected }) {
  const { accepted, status, rules, rights } = props.inspected;
  const row = (rule: Rule) => [
    ruleInWords(rule.rule),
    <span class={TONES[rule.result]}>{RESULTS[rule.result]}</span>,
    rule.detail ?? rule.reason ?? "",
  ];
  const given = rights.filter((right) => right.given).map(({ right }) => right.replaceAll("_", " "));
  return (
    <>
      <p>
        {accepted ? <span class="tag good">accepted</span> : <span class="tag bad">not accepted: {status}</span>}{" "}
        {accepted && <>It may be used to {given.length === 0 ? "do nothing here" : given.join(", ")}.</>}
      </p>
      <Table caption="Rules for tokens, in the order in which they are checked" head={["Rule", "Result", "Detail"]} rows={rules.map(row)} />
    </>
  );
}
