// The check as a command, a line of a page, or a call of the vendor's SDK.
import { useState } from "preact/hooks";
import { CopyButton } from "../parts/basic";
import { useSession } from "../session";
import type { Asker } from "./page";

const FORMS = ["curl", "fetch", "SDK"] as const;
type Form = (typeof FORMS)[number];

/** The check in one of the forms. No token is in it: a command line is kept in a history. */
export function written(form: Form, origin: string, item: number, sample: string | undefined, option: string): string {
  const token = sample === undefined ? "$TOKEN" : `$(cargo xtask token ${sample}${option})`;
  if (form === "curl") return `curl -i -H "Authorization: Bearer ${token}" ${origin}/items/${item}/access`;
  if (form === "fetch") {
    return [
      `const answer = await fetch("${origin}/items/${item}/access", {`,
      "  headers: { authorization: `Bearer ${token}` },",
      "});",
      "const mayPlay = answer.status === 200; // 402 is a denial; 503 is not",
    ].join("\n");
  }
  return [
    `InPlayer.setConfig("production", { baseURL: "${origin}" });`,
    "InPlayer.Account.setToken(token, refreshToken, expires);",
    `const { data } = await InPlayer.Asset.checkAccessForAsset(${item}); // rejects on a denial, 402`,
  ].join("\n");
}

export function CopyAs(props: { asker: Asker; item: number }) {
  const { samples } = useSession();
  const [form, setForm] = useState<Form>("curl");
  const text = written(form, location.origin, props.item, props.asker.sample?.name, samples?.option ?? "");
  return (
    <div class="row">
      <label>
        Copy as{" "}
        <select value={form} onChange={(event) => setForm(event.currentTarget.value as Form)}>
          {FORMS.map((form) => <option key={form}>{form}</option>)}
        </select>
      </label>
      <CopyButton text={text} label="Copy" />
      <details class="grow">
        <summary>Show</summary>
        <pre class="code" tabIndex={0} role="region" aria-label="The check to copy"><code>{text}</code></pre>
      </details>
    </div>
  );
}
