// What holds for every page: tokens that are refused, an edge or an origin that is down, narrow screens, the keyboard.
import type { Page } from "@playwright/test";
import { persona, withoutOrigin } from "./support/run";
import { expect, expectAccessible, open, test } from "./support/test";

const PAGES = ["playground", "support", "operations", "reference"];

async function expectHeading(page: Page, name: string): Promise<void> {
  await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
}

test("an expired token and a wrong audience are told, with the rule that fails", async ({ page }) => {
  for (const [viewer, rule] of [["expired-token", "It has not expired"], ["wrong-audience", "It was issued for this service"]] as const) {
    await open(page, `#/playground?viewer=${viewer}`);
    await expect(page.getByRole("heading", { name: "Token not accepted 401" })).toBeVisible();
    const row = page.getByRole("region", { name: "Token", exact: true }).getByRole("row").filter({ hasText: rule });
    await expect(row).toContainText("failed");
    await expect(page.getByRole("region", { name: "Why?" })).toContainText("The token is the reason");
    await page.goto("about:blank");
  }
});

test("a text that is not a token, and a token with a wrong signature", async ({ page }) => {
  await open(page, "");
  await page.getByLabel("Viewer", { exact: true }).selectOption({ label: "a token that I paste" });
  const field = page.getByLabel("The viewer's token");
  await field.fill("not a token");
  await expect(page.getByRole("alert")).toContainText("This is not a JSON Web Token");
  const [header, claims] = persona("item-buyer").token.split(".");
  await field.fill(`${header}.${claims}.${"A".repeat(43)}`);
  await expect(page.getByRole("heading", { name: "Token not accepted 401" })).toBeVisible();
  const row = page.getByRole("region", { name: "Token", exact: true }).getByRole("row").filter({ hasText: "The signature is right" });
  await expect(row).toContainText("failed");
  // It is kept for this tab, and for no other.
  await page.reload();
  await page.getByLabel("Viewer", { exact: true }).selectOption({ label: "a token that I paste" });
  await expect(field).not.toHaveValue("");
  const other = await page.context().newPage();
  await other.goto(page.url());
  expect(await other.evaluate(() => [sessionStorage.length, localStorage.length])).toEqual([0, 0]);
  await other.close();
});

test("an edge that is down is told on every page", async ({ page, observed }) => {
  observed.allowed.push(/net::ERR_CONNECTION_REFUSED/, /net::ERR_FAILED/);
  await open(page, "");
  await expect(page.getByRole("heading", { name: "Denied 402" })).toBeVisible();
  // Only the requests fail, as for a page that is open while the edge goes.
  await page.route("**/*", (route) => route.abort("connectionrefused"));
  await page.getByRole("button", { name: "Ask again" }).click();
  await expect(page.getByRole("heading", { name: "No answer" })).toBeVisible();
  await page.getByRole("link", { name: "Support" }).click();
  await page.getByLabel("Who?").fill("88002");
  await page.getByRole("button", { name: "Find" }).click();
  await expect(page.getByRole("alert")).toContainText("The edge does not answer.");
  await page.getByRole("link", { name: "Operations" }).click();
  await expect(page.getByRole("alert").first()).toContainText("The edge does not answer.");
  await page.getByRole("link", { name: "Reference" }).click();
  await expectHeading(page, "Reference");
  await expect(page.getByText("Loading")).toHaveCount(0);
});

test("an origin that is down: checks go on, a purchase fails and says so", async ({ page }) => {
  await open(page, "#/playground?viewer=never-bought&item=5101");
  await expect(page.getByRole("heading", { name: "Denied 402" })).toBeVisible();
  await withoutOrigin(async () => {
    await page.getByRole("button", { name: "Ask again" }).click();
    await expect(page.getByRole("heading", { name: "Denied 402" })).toBeVisible();
    await page.getByRole("button", { name: "Buy" }).click();
    await expect(page.getByRole("alert")).toContainText(/The origin (cannot be reached|gave no usable answer|does not answer)/);
    await page.getByLabel("Viewer", { exact: true }).selectOption("item-buyer");
    await expect(page.getByRole("heading", { name: "Granted 200" })).toBeVisible();
  });
});

test("every page fits a screen of 375 px", async ({ page }) => {
  await page.setViewportSize({ width: 375, height: 700 });
  for (const name of PAGES) {
    await open(page, `#/${name}`);
    await page.waitForLoadState("networkidle");
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width, name).toBeLessThanOrEqual(375);
    await expectAccessible(page);
    await page.goto("about:blank");
  }
});

test("the keyboard alone is enough: viewer, item, purchase", async ({ page }) => {
  await open(page, "");
  await expect(page.getByRole("heading", { name: "Denied 402" })).toBeVisible();
  const until = async (isThere: () => Promise<boolean>) => {
    for (let step = 0; step < 40 && !(await isThere()); step += 1) await page.keyboard.press("Tab");
    expect(await isThere()).toBe(true);
  };
  const focused = (name: RegExp) => () =>
    page.evaluate((source) => {
      const element = document.activeElement;
      const label = (element as HTMLInputElement | null)?.labels?.[0]?.textContent ?? element?.getAttribute("aria-label") ?? "";
      return new RegExp(source).test(`${label} ${element?.tagName === "BUTTON" ? element.textContent : ""}`.trim());
    }, name.source);
  // The first stop skips the navigation.
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the page" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toBeFocused();
  await until(focused(/^Viewer$/));
  await page.keyboard.type("licence cancelled");
  await expect(page.getByText("May licence cancelled play The Salt Road?")).toBeVisible();
  await until(focused(/^Item$/));
  await page.keyboard.type("Meridian");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await expect(page.getByText("May licence cancelled play Meridian?")).toBeVisible();
  await until(focused(/^Buy$/));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Granted 200" })).toBeVisible();
  await page.keyboard.press("Shift+Tab");
  await until(focused(/^Revoke$/));
  await page.keyboard.press("Space");
  await expect(page.getByText("Revoked, and published.")).toBeVisible({ timeout: 30_000 });
});

test("pages are links, and the heading is the next stop", async ({ page }) => {
  await open(page, "");
  for (const name of ["Support", "Operations", "Reference", "Playground"]) {
    await page.getByRole("link", { name, exact: true }).click();
    await expectHeading(page, name);
    await expect(page.getByRole("heading", { level: 1 })).toBeFocused();
    await expect(page).toHaveTitle(`${name} · Admit console`);
  }
});
