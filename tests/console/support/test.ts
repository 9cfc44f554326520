// Playwright's `test`, which fails on console errors, violations of the content security policy and requests to other hosts.
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { type Locator, type Page, expect, test as base } from "@playwright/test";
import { required } from "./run";

/** Console errors that a test expects: browsers report every answer of 4xx and 5xx there. */
const STATUS = /^Failed to load resource: the server responded with a status of (4|5)\d\d/;

export interface Console {
  /** Console errors that are part of the test. */
  allowed: RegExp[];
}

export const test = base.extend<{ observed: Console }>({
  observed: [
    async ({ page, baseURL }, use) => {
      const problems: string[] = [];
      const allowed: RegExp[] = [STATUS];
      page.on("console", (message) => {
        if (message.type() === "error" && !allowed.some((known) => known.test(message.text()))) problems.push(message.text());
      });
      page.on("pageerror", (error) => problems.push(String(error)));
      page.on("request", (request) => {
        const url = request.url();
        if (!url.startsWith(`${baseURL}/`) && !url.startsWith("data:")) problems.push(`a request to ${url}`);
      });
      await page.addInitScript(() => {
        addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
      });
      await use({ allowed });
      expect(problems, "console errors, violations of the policy, other hosts").toEqual([]);
    },
    { auto: true },
  ],
});

/** Opens a page of the console and waits until it is there. */
export async function open(page: Page, fragment: string): Promise<void> {
  await page.goto(`/console/${fragment}`);
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page.getByText("Loading …", { exact: true })).toHaveCount(0);
}

/** Fails on serious findings of axe. */
export async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const said = serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`);
  expect(said, "serious findings of axe").toEqual([]);
}

/** Keeps a picture of the page, or of a part of it, for the documentation. */
export async function picture(shown: Page | Locator, name: string): Promise<void> {
  await shown.screenshot({ path: join(required("ADMIT_CONSOLE_RESULTS", "a directory"), "pictures", `${name}.png`) });
}

export { expect };
