// The answer, large, in one sentence.
import type { ComponentChildren } from "preact";
import type { LiveExchange } from "../parts/use_exchange";
import { messageOf } from "../api";
import { momentAndDistance, nowSecs } from "../time";
import type { Asker } from "./page";

interface Access {
  expires_at: number;
  item: { title: string };
}

/** The tone, the title and the sentence for an answer. */
function said(status: number, body: unknown, message: string): [string, string, string] {
  if (status === 200) {
    const until = (body as Access).expires_at;
    return ["good", "Granted", `The viewer may play it, ${until >= 253_402_300_799 ? "without end" : `until ${momentAndDistance(until, nowSecs())}`}.`];
  }
  if (status === 402) return ["bad", "Denied", "The viewer has no access to this item now. Below is why."];
  if (status === 401) return ["bad", "Token not accepted", "Nothing was decided: the edge does not accept this token. Below is the rule that it fails."];
  if (status === 403) return ["bad", "Not allowed to ask", "Nothing was decided: this token may not ask for access."];
  if (status === 404) return ["bad", "No such item", "There is no active item with this number."];
  if (status === 0) return ["bad", "No answer", "The edge does not answer. Is it running?"];
  if (status === 503) return ["warn", "Cannot be told now", "This is not a denial: the edge cannot tell at present. Ask again."];
  return ["warn", `Status ${status}`, message];
}

export function Verdict(props: {
  check: LiveExchange;
  title: string | undefined;
  item: number;
  asker: Asker;
  children: ComponentChildren;
}) {
  const { check, title, item, asker, children } = props;
  const exchange = check.value;
  const [tone, headline, sentence] = exchange ? said(exchange.status, exchange.body, messageOf(exchange)) : ["", "Asking …", ""];
  return (
    <section class={`verdict ${tone}`} aria-labelledby="verdict" aria-busy={check.isLoading}>
      <p class="question">May <b>{asker.sample?.name.replaceAll("-", " ") ?? "this viewer"}</b> play <b>{title ?? `item ${item}`}</b>?</p>
      <div aria-live="polite" aria-atomic="true">
        <h2 id="verdict">{headline}{exchange && exchange.status !== 0 && <small> {exchange.status}</small>}</h2>
        <p>{sentence}</p>
      </div>
      <div class="row">
        <button type="button" onClick={check.again}>Ask again</button>
        {children}
      </div>
    </section>
  );
}
