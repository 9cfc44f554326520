// The console: pages on the API of the edge that serves it (docs/console.md). It can do what the tokens given to it can.
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { OperationsPage } from "./operations/page";
import { PlaygroundPage } from "./playground/page";
import { ReferencePage } from "./reference/page";
import { fragmentOf, type Page, PAGES, useRoute } from "./router";
import { loadSamples, type Samples, SessionContext, usePasted } from "./session";
import { SupportPage } from "./support/page";
import "./style.css";

const TITLES: Record<Page, string> = {
  playground: "Playground", support: "Support", operations: "Operations", reference: "Reference",
};
const SHOWN = { playground: PlaygroundPage, support: SupportPage, operations: OperationsPage, reference: ReferencePage };

function App() {
  const { page, params } = useRoute();
  const [samples, setSamples] = useState<Samples>();
  const [isLoading, setIsLoading] = useState(true);
  const support = usePasted("support");
  const operator = usePasted("operator");
  const heading = useRef<HTMLHeadingElement>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    void loadSamples().then(setSamples).finally(() => setIsLoading(false));
  }, []);
  useEffect(() => {
    document.title = `${TITLES[page]} · Admit console`;
    // After a change of the page, keyboard and screen reader go on at its heading.
    if (!isFirst.current) heading.current?.focus();
    isFirst.current = false;
  }, [page]);
  const Shown = SHOWN[page];
  return (
    <SessionContext.Provider value={{ samples, support, operator }}>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); heading.current?.focus(); }}>
        Skip to the page
      </a>
      <header class="top">
        <p class="brand">Admit <span>console</span></p>
        <nav aria-label="Pages">
          {PAGES.map((name) => (
            <a key={name} href={fragmentOf(name)} aria-current={name === page ? "page" : undefined}>{TITLES[name]}</a>
          ))}
        </nav>
      </header>
      <main id="main">
        <h1 ref={heading} tabIndex={-1}>{TITLES[page]}</h1>
        {isLoading ? <p class="loading" role="status">Loading …</p> : <Shown params={params} />}
      </main>
      <footer>
        Tokens stay in this tab, and go to {location.host} only. The console can do what they can.
      </footer>
    </SessionContext.Provider>
  );
}

render(<App />, document.getElementById("app")!);
