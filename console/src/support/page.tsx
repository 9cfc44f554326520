// Support: find a customer, see what they hold, and why an item is not open to them.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Exchange, good, send } from "../api";
import { CopyButton, Facts, Field, Loading, Notice, Panel, Problem, Table } from "../parts/basic";
import { MomentPicker } from "../parts/moment";
import { TokenSource } from "../parts/token_field";
import { useLive } from "../parts/use_exchange";
import { Rules } from "../playground/token";
import { fragmentOf, keep } from "../router";
import { tokenOf, useSession } from "../session";
import { moment } from "../time";
import { placeInWords } from "../words";
import { clueIn, type Customer, follow, type Found } from "./find";
import { type Holding, Holdings } from "./holdings";
import { Question } from "./question";

const NEEDS = "a token of an issuer with the capabilities “explain” and “check”";

interface Record {
  version: { seq: number; as_of: number };
  at: number;
  customer: Customer;
  holdings: Holding[];
  used_trials?: number[];
  page: { next_token: string; count: number; total?: number };
}

/** Pages of holdings that are read at most: 1,000 holdings. */
const PAGES_MAX = 20;

export function SupportPage(props: { params: URLSearchParams }) {
  const session = useSession();
  const token = tokenOf(session, "support");
  const number = (name: string) => Number(props.params.get(name)) || undefined;
  const [who, setWho] = useState(props.params.get("who") ?? undefined);
  const [item, setItem] = useState(() => number("item"));
  const [time, setTime] = useState(() => number("at"));
  const [found, setFound] = useState<Found>();
  const [share, setShare] = useState<number>();
  const [text, setText] = useState(who ?? "");
  const search = useRef(new AbortController());
  useEffect(() => keep("support", { who, item, at: time }), [who, item, time]);
  useEffect(() => () => search.current.abort(), []);

  const find = async (event: Event) => {
    event.preventDefault();
    search.current.abort();
    search.current = new AbortController();
    const { signal } = search.current;
    setFound(undefined);
    setWho(undefined);
    setShare(0);
    try {
      const result = await follow(clueIn(text), token, setShare, signal);
      setFound(result);
      setWho(result.who);
      if (result.item !== undefined) setItem(result.item);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      if (!signal.aborted) setShare(undefined);
    }
  };

  return (
    <>
      <p class="lead">Find a customer, see what they hold, and why an item is not open to them.</p>
      <Panel title="Customer">
        <TokenSource
          label="Token of support staff" help={`It takes ${NEEDS}.`} sample={session.samples?.support} of="support staff" pasted={session.support}
        />
        {token === "" ? (
          <Notice>Paste a token first.</Notice>
        ) : (
          <form onSubmit={find}>
            <Field label="Who?" help="A number, a UUID, namespace:subject, the customer's token, a request id of this tab, or a line of the log.">
              {(id) => (
                <div class="row">
                  <input id={id} class="grow" type="text" value={text} autocomplete="off" spellcheck={false} onInput={(event) => setText(event.currentTarget.value)} />
                  <button type="submit" class="primary" disabled={text.trim() === "" || share !== undefined}>Find</button>
                  {share !== undefined && <button type="button" onClick={() => { search.current.abort(); setShare(undefined); }}>Stop</button>}
                </div>
              )}
            </Field>
          </form>
        )}
        {share !== undefined && (
          <p class="loading" role="status">Searching … {share > 0 && `${Math.round(share * 100)} % of the snapshot`}</p>
        )}
        {found?.note && <Notice>{found.note}</Notice>}
        {found?.failed && <Problem exchange={found.failed} what="the customer" needs={NEEDS} />}
        {found && found.candidates.length > 1 && <Candidates candidates={found.candidates} onWho={setWho} />}
        {found?.inspected && <Rules inspected={found.inspected} />}
      </Panel>
      {token !== "" && who !== undefined && (
        <Shown
          token={token} who={who} item={item} time={time} customerToken={found?.token} onItem={setItem} onTime={setTime}
        />
      )}
    </>
  );
}

function Candidates(props: { candidates: Customer[]; onWho: (who: string) => void }) {
  const rows = props.candidates.map((customer) => [
    <button type="button" class="link" onClick={() => props.onWho(customer.key)}>{customer.id ?? customer.key}</button>,
    customer.number, customer.uuid, customer.merchant_id,
  ]);
  return <Table caption="Customers" head={["Customer", "Number", "UUID", "Merchant"]} rows={rows} />;
}

/** All pages of a customer's record. */
async function read(token: string, who: string, time: number | undefined, signal: AbortSignal): Promise<Exchange> {
  const at = time === undefined ? "" : `at=${time}&`;
  const path = (next: string) => `/customers/${encodeURIComponent(who)}?${at}${next === "" ? "" : `page_token=${encodeURIComponent(next)}`}`;
  const first = await send("GET", path("").replace(/[?&]$/, ""), { token, signal });
  const record = good<Record>(first);
  for (let page = 1; record && record.page.next_token !== "" && page < PAGES_MAX; page += 1) {
    const next = good<Record>(await send("GET", path(record.page.next_token), { token, signal }));
    if (!next) break;
    record.holdings.push(...next.holdings);
    record.page.next_token = next.page.next_token;
  }
  return first;
}

function Shown(props: {
  token: string;
  who: string;
  item: number | undefined;
  time: number | undefined;
  customerToken: string | undefined;
  onItem: (item: number) => void;
  onTime: (time: number | undefined) => void;
}) {
  const { token, who, item, time, customerToken, onItem, onTime } = props;
  // The question stands below what may be a long list.
  const onAsk = (asked: number) => {
    onItem(asked);
    document.getElementById("question")?.scrollIntoView();
  };
  const answer = useLive((signal) => read(token, who, time, signal), [token, who, time]);
  const exchange = answer.value;
  const record = good<Record>(exchange);
  // The subject that AuthZEN takes: a record that was found by its key may not know it.
  const customer = record?.customer.id ?? (who.includes(":") ? who : undefined);
  const link = `${location.origin}/console/${fragmentOf("support", { who: customer ?? who, item, at: time })}`;
  return (
    <>
      <Panel title="What they hold" aside={<CopyButton text={link} label="Copy a link to this question" />}>
        {!exchange && <Loading what="the customer" />}
        {exchange && !record && <Problem exchange={exchange} what="the customer" needs={NEEDS} />}
        {record && (
          <>
            <Facts
              rows={[
                ["Customer", <code>{record.customer.id ?? record.customer.key}</code>],
                ["Number", record.customer.number],
                ["UUID", <code>{record.customer.uuid}</code>],
                ["Merchant", record.customer.merchant_id],
                ["Found in", `the ${placeInWords(record.customer.source)}`],
                ["Version", `${record.version.seq}, true on ${moment(record.version.as_of)}`],
              ]}
            />
            <MomentPicker time={time} onTime={onTime} />
            <Holdings holdings={record.holdings} at={record.at} onItem={onAsk} />
            {record.page.next_token !== "" && <Notice>There are more holdings than are shown.</Notice>}
          </>
        )}
      </Panel>
      <Question
        token={token} customer={customer} customerToken={customerToken} item={item} time={time} onItem={onItem}
      />
    </>
  );
}
