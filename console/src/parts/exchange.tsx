// A request and its answer, side by side.
import type { Exchange } from "../api";
import { statusInWords } from "../words";
import { Code } from "./basic";

export function ExchangeView(props: { exchange: Exchange; tokenName: string | undefined }) {
  const { exchange, tokenName } = props;
  const request = [
    `${exchange.method} ${exchange.path}`,
    ...(tokenName === undefined ? [] : [`authorization: Bearer <${tokenName}>`]),
    ...(exchange.sent === undefined ? [] : ["", exchange.sent]),
  ].join("\n");
  const headers = exchange.headers.map(([name, value]) => `${name}: ${value}`).join("\n");
  return (
    <div class="sides">
      <div>
        <h3>Request</h3>
        <Code value={request} label="Request" />
      </div>
      <div>
        <h3>Answer</h3>
        <p class="status-line">
          <strong>{exchange.status === 0 ? "none" : exchange.status}</strong> {statusInWords(exchange.status)},{" "}
          {exchange.tookMs} ms{exchange.requestId && <>, request <code>{exchange.requestId}</code></>}
        </p>
        <Code value={exchange.body ?? ""} label="Body of the answer" />
        {headers !== "" && (
          <details>
            <summary>Headers of the answer</summary>
            <Code value={headers} label="Headers of the answer" />
          </details>
        )}
      </div>
    </div>
  );
}
