// Support: a customer found in every way, what they hold, why not an item, and a link without the token.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { ask, persona, required, token, withoutOrigin } from "./support/run";
import { expect, expectAccessible, open, picture, test } from "./support/test";

const BUYER = "vendor:687701d2-7eef-4ae9-a1be-cd432fc3af69";

async function find(page: Page, clue: string): Promise<void> {
  await page.getByLabel("Who?").fill(clue);
  await page.getByRole("button", { name: "Find" }).click();
}

function holdings(page: Page) {
  return page.getByRole("region", { name: "What they hold" });
}

async function expectBuyer(page: Page): Promise<void> {
  await expect(holdings(page)).toContainText("Meridian");
  await expect(holdings(page)).toContainText("88002");
  await expect(holdings(page)).toContainText("access 340001");
}

test.describe("a customer is found", () => {
  test.beforeEach(({ page }) => open(page, "#/support"));

  test("by number", async ({ page }) => {
    await find(page, "88002");
    await expectBuyer(page);
  });

  test("by namespace and subject", async ({ page }) => {
    await find(page, BUYER);
    await expectBuyer(page);
  });

  test("by UUID", async ({ page }) => {
    await find(page, "f6421bd1-fb4f-4718-80ed-c6da1d205fa5");
    await expect(holdings(page)).toContainText("88005");
    // This one is a subject in two namespaces, and the UUID of one customer.
    await find(page, BUYER.split(":")[1]!);
    await expectBuyer(page);
  });

  test("by token, which is in no link", async ({ page }) => {
    const buyer = persona("item-buyer").token;
    await find(page, `Bearer ${buyer}`);
    await expectBuyer(page);
    await expect(page.getByText("accepted", { exact: true })).toBeVisible();
    expect(page.url()).toContain("who=vendor");
    expect(page.url()).not.toContain(buyer.slice(0, 20));
  });

  test("by a line of the log", async ({ page }) => {
    // A write of the viewer's own leaves a line with the hash of the subject, whatever the origin says to it.
    await ask("/accounts/console-test", persona("item-buyer").token, { method: "POST" });
    const log = join(required("ADMIT_DEV_DIR", "the directory of the run"), "wrangler.log");
    await expect.poll(() => readFileSync(log, "utf8")).toMatch(/"event":"audit".*\/accounts.*"subject_hash"/);
    const line = readFileSync(log, "utf8").split("\n").filter((line) => /"event":"audit".*\/accounts.*"subject_hash"/.test(line)).at(-1)!;
    await find(page, line);
    await expectBuyer(page);
    await expect(page.getByText("The line says")).toBeVisible();
  });
});

test("a request of this tab is found by its id", async ({ page }) => {
  await open(page, "#/playground?viewer=item-buyer&item=5110");
  const id = await page.getByRole("region", { name: "Request and answer" }).locator(".status-line code").textContent();
  await page.getByRole("link", { name: "Support" }).click();
  await find(page, id!);
  await expectBuyer(page);
  await expect(page.getByText("This tab sent that request: GET /items/5110/access, answered 200.")).toBeVisible();
});

test("what leads nowhere is said", async ({ page }) => {
  await open(page, "#/support");
  await find(page, "what?");
  await expect(page.getByText("This is neither a number")).toBeVisible();
  await find(page, "99999999");
  await expect(page.getByText("No customer of the snapshot has it.")).toBeVisible();
  await find(page, "vendor:nobody");
  await expect(page.getByRole("alert")).toContainText("Cannot show the customer.");
  await find(page, '{"event":"request","request_id":"0-0","method":"GET","path":"/items/5101/access","status":402,"reason":"no_grant"}');
  await expect(page.getByText("It names no customer")).toBeVisible();
});

test("holdings are past, running and future, and why not an item is answered", async ({ page }) => {
  await open(page, "#/support");
  await find(page, persona("starts-tomorrow").customer);
  await expect(holdings(page).getByText("future", { exact: true })).toBeVisible();
  await find(page, persona("several-grants").customer);
  await expect(holdings(page).getByText("running", { exact: true }).first()).toBeVisible();
  await expect(holdings(page).getByText("past", { exact: true }).first()).toBeVisible();
  await picture(holdings(page), "support");

  await find(page, persona("expired").customer);
  await holdings(page).getByRole("button", { name: "Ask about it" }).first().click();
  const question = page.getByRole("region", { name: "May they play it, and why?" });
  await expect(question.locator(".reason")).toContainText("it has ended");
  await expect(question.getByRole("cell", { name: "has ended" })).toBeVisible();
  await expectAccessible(page);
});

test("a link shares the question without the token", async ({ page, browser }) => {
  await open(page, "#/support");
  await find(page, BUYER);
  await expectBuyer(page);
  const question = page.getByRole("region", { name: "May they play it, and why?" });
  await question.getByRole("combobox", { name: "Item" }).fill("5110");
  await page.keyboard.press("Enter");
  await expect(question.locator(".reason")).toContainText("granted now");
  await page.getByRole("button", { name: "Copy a link" }).click();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  expect(link).not.toContain(token("support").slice(0, 20));
  const other = await browser.newContext();
  const opened = await other.newPage();
  await opened.goto(link);
  await expect(opened.getByRole("region", { name: "What they hold" })).toContainText("88002");
  await expect(opened.getByRole("region", { name: "May they play it, and why?" }).locator(".reason")).toContainText("granted now");
  await other.close();
});

test("a viewer's token sees only its own answers", async ({ page }) => {
  // As in a deployment: there are no samples, and the tokens are pasted.
  await page.route("**/console/samples.json", (route) => route.fulfill({ status: 404, body: "{}" }));
  const { token } = persona("item-buyer");
  await open(page, "#/support");
  await page.getByLabel("Token of support staff").fill(token);
  await find(page, BUYER);
  await expect(page.getByRole("alert").first()).toContainText("This token may not see this.");
  await expect(page.getByText("88002")).toHaveCount(0);
  await find(page, "88005");
  await expect(page.getByRole("alert").first()).toContainText("This token may not see this.");

  // The playground answers for the viewer, and shows no grant.
  await page.getByRole("button", { name: "Forget this token" }).click();
  await page.getByRole("link", { name: "Playground" }).click();
  await page.getByLabel("The viewer's token").fill(token);
  await page.getByRole("combobox", { name: "Item" }).fill("5110");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Granted 200" })).toBeVisible();
  await expect(page.getByRole("region", { name: "Why?" })).toContainText("Nobody here may look behind the answer");
  await expect(page.getByText("Every grant that was looked at")).toHaveCount(0);
});

test("what the origin says stands beside what the snapshot says", async ({ page }) => {
  const question = page.getByRole("region", { name: "May they play it, and why?" });
  await open(page, "#/support?item=5110");
  await find(page, persona("item-buyer").token);
  await question.getByRole("button", { name: "Ask the origin, too" }).click();
  await expect(question.getByRole("heading", { name: "The origin, now" })).toBeVisible();
  const origin = question.locator(".sides > div").last();
  await expect(origin).toContainText(/^The origin, nowgranted/);
  await withoutOrigin(async () => {
    await page.reload();
    await find(page, persona("item-buyer").token);
    await question.getByRole("button", { name: "Ask the origin, too" }).click();
    await expect(question.getByRole("alert").first()).toContainText("The origin did not answer this token");
    await expect(question.getByRole("alert").last()).toContainText("The origin did not answer, so the snapshot did: 200.");
  });
});
