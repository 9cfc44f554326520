// The playground: who watches, what, and whether they may; then why, and everything around it.
import { useEffect, useMemo, useState } from "preact/hooks";
import { good, remember, send } from "../api";
import { inspect, type Inspected } from "../decision";
import { Notice, Panel } from "../parts/basic";
import { ExchangeView } from "../parts/exchange";
import { type Choice, ItemPicker, readItem } from "../parts/item_picker";
import { TokenField } from "../parts/token_field";
import { useLive } from "../parts/use_exchange";
import { keep } from "../router";
import { tokenOf, usePasted, useSession, type Viewer } from "../session";
import { decode } from "../token";
import { Buy } from "./buy";
import { CopyAs } from "./copy";
import { PlaybackPanel } from "./playback";
import { Shelf } from "./shelf";
import { TokenPanel } from "./token";
import { Verdict } from "./verdict";
import { WhyPanel } from "./why";

/** The choice in the list of viewers that stands for a pasted token. */
const PASTED = "(pasted)";

/** The viewer with whom the playground begins: one who is denied. */
const FIRST = "never-bought";

/** The person in question, from the samples or from a pasted token. */
export interface Asker {
  /** What stands for the token where a request is shown. */
  tokenName: string;
  token: string;
  sample: Viewer | undefined;
  /** `namespace:subject`, as far as it is known. */
  customer: string | undefined;
  number: number | undefined;
}

export function PlaygroundPage(props: { params: URLSearchParams }) {
  const session = useSession();
  const { samples } = session;
  const [pasted, setPasted] = usePasted("viewer");
  const asked = props.params.get("viewer");
  const [name, setName] = useState(() => {
    const isKnown = (name: string | null) => samples?.viewers.some((viewer) => viewer.name === name);
    if (isKnown(asked)) return asked!;
    return samples && pasted === "" && isKnown(FIRST) ? FIRST : PASTED;
  });
  const sample = name === PASTED ? undefined : samples?.viewers.find((viewer) => viewer.name === name);
  const [item, setItem] = useState<number | undefined>(() => Number(props.params.get("item")) || sample?.item_id);
  const [turn, setTurn] = useState(0);

  const token = sample?.token ?? (decode(pasted) ? pasted : "");
  const support = tokenOf(session, "support");
  // Without a token of support staff, the viewer's own may be allowed to see its own grants.
  const self = good<{ customer: { id: string | null; number: number } }>(
    useLive(
      token === "" || support !== "" ? undefined : (signal) => send("GET", "/customers/me", { token, signal }), [token, support],
    ).value,
  )?.customer;
  const explainer = support !== "" ? support : self ? token : "";
  const inspection = useLive(
    token === "" || explainer === "" ? undefined : (signal) => inspect(explainer, token, signal), [token, explainer],
  );
  const report = good<Inspected>(inspection.value);
  const customer = sample?.customer ?? report?.principal?.customer ?? self?.id ?? undefined;
  const number = sample?.number ?? self?.number ?? report?.principal?.account_id ?? undefined;
  const asker: Asker = { tokenName: sample?.name ?? "pasted token", token, sample, customer, number };

  const check = useLive(
    token === "" || item === undefined ? undefined : (signal) => send("GET", `/items/${item}/access`, { token, signal }),
    [token, item, turn],
  );
  useEffect(() => {
    if (check.value) remember(check.value, customer);
  }, [check.value, customer]);
  useEffect(() => keep("playground", { viewer: sample?.name, item }), [sample, item]);

  const choices = useChoices(token, customer, samples?.items);
  const title = choices.find((choice) => choice.id === item)?.title;
  // Then the token is the reason, and comes first.
  const isRefused = check.value?.status === 401;
  const again = () => setTurn((turn) => turn + 1);
  const pick = (picked: string) => {
    setName(picked);
    const viewer = samples?.viewers.find((viewer) => viewer.name === picked);
    if (viewer) setItem(viewer.item_id);
  };

  return (
    <>
      <p class="lead">May this viewer play this item? Choose both: the answer is that of the running edge, as a player gets it.</p>
      <div class="pickers panel">
        {samples && (
          <div class="field">
            <label for="viewer">Viewer</label>
            <select id="viewer" value={name} onChange={(event) => pick(event.currentTarget.value)}>
              {samples.viewers.map((viewer) => <option key={viewer.name} value={viewer.name}>{viewer.name.replaceAll("-", " ")}</option>)}
              <option value={PASTED}>a token that I paste</option>
            </select>
            <p class="help">{sample?.why ?? "The token says who is watching."}</p>
          </div>
        )}
        {name === PASTED && (
          <div>
            <TokenField label="The viewer's token" help="It is kept in this tab only." token={pasted} onToken={setPasted} />
          </div>
        )}
        <ItemPicker
          label="Item" choices={choices} item={item} onItem={setItem}
          help="Search by title or number. Any other number can be asked about, too."
        />
      </div>
      {token === "" || item === undefined ? (
        <Notice>{token === "" ? "Paste a viewer's token to ask with it." : "Choose an item."}</Notice>
      ) : (
        <>
          <Verdict check={check} title={title} item={item} asker={asker}>
            <Buy asker={asker} item={item} status={check.value?.status} onChanged={again} />
          </Verdict>
          {isRefused && <TokenPanel asker={asker} exchange={inspection.value} />}
          <WhyPanel asker={asker} item={item} turn={turn} isRefused={isRefused} isGranted={check.value?.status === 200} />
          {check.value && (
            <Panel title="Request and answer" aside={<CopyAs asker={asker} item={item} />}>
              <ExchangeView exchange={check.value} tokenName={asker.tokenName} />
            </Panel>
          )}
          {!isRefused && <TokenPanel asker={asker} exchange={inspection.value} />}
          <PlaybackPanel asker={asker} item={item} turn={turn} />
          <Shelf asker={asker} choices={choices} turn={turn} onItem={setItem} />
        </>
      )}
    </>
  );
}

/** The items to choose from: those of the samples, else what the viewer holds. */
function useChoices(token: string, customer: string | undefined, samples: Choice[] | undefined): Choice[] {
  const search = useLive(
    samples || token === "" || customer === undefined ? undefined : (signal) => held(token, customer, signal),
    [samples, token, customer],
  );
  return useMemo(() => samples ?? search.value ?? [], [samples, search.value]);
}

/** Titles that are read for items of a pasted token's customer. */
const TITLES_MAX = 30;

async function held(token: string, customer: string, signal: AbortSignal): Promise<Choice[]> {
  const json = {
    subject: { type: "customer", id: customer },
    action: { name: "play" },
    resource: { type: "item" },
  };
  const found = good<{ results: { id: string }[] }>(await send("POST", "/access/v1/search/resource", { token, json, signal }));
  const ids = (found?.results ?? []).map(({ id }) => Number(id));
  const titled = ids.slice(0, TITLES_MAX).map(async (id) => ({ id, title: (await readItem(id))?.title }));
  return [...(await Promise.all(titled)), ...ids.slice(TITLES_MAX).map((id) => ({ id, title: undefined }))];
}
