/** What every test stands on: a console that may not print errors, the lab, and verbs as a person would use them. */
import AxeBuilder from "@axe-core/playwright";
import { test as base, expect, type Locator, type Page } from "@playwright/test";
import { within } from "./addresses";
import { Lab } from "./lab";

export { expect };

/**
 * What a browser says by itself and no test need mind: that it reports every refused request (the first question of a
 * visitor is whether they are logged in), and that a busy machine takes long to compile.
 */
const NOISE = [/status of 401 .*\/portolan\/v1\/session$/, /was preloaded using link preload but not used/];

/** The colour schemes that every screen is looked at in. */
const THEMES = ["light", "dark"] as const;
/** A telephone held upright. */
const PHONE = { width: 320, height: 640 };

/** The console, by what a person does in it. */
export class Console {
  constructor(readonly page: Page) {}

  /** Logs in from the log-in page and arrives at the networks. */
  async logIn(user = "demo", password = "demo-portolan"): Promise<void> {
    await this.page.goto("/");
    await this.page.getByLabel("User").fill(user);
    await this.page.getByLabel("Password").fill(password);
    await this.page.getByRole("button", { name: "Log in" }).click();
    await expect(this.heading("Networks")).toBeVisible();
    await this.isLive();
  }

  /** Makes something by the Networking API, as who is logged in here; its id. */
  async make(project: string, what: "network" | "subnet" | "port", data: object): Promise<string> {
    const { csrf } = await (await this.page.request.get("/portolan/v1/session")).json();
    const headers = { "X-CSRF-Token": csrf, "X-Portolan-Project": project };
    const answer = await this.page.request.post(`/v2.0/${what}s`, { headers, data: { [what]: data } });
    expect(answer.status(), await answer.text()).toBe(201);
    return (await answer.json())[what].id;
  }

  /** Waits until the page follows the server. */
  async isLive(): Promise<void> {
    await expect(this.page.getByTestId("live-mark")).toHaveText(/^\s*Live\s*$/);
  }

  /** A section, by the menu. */
  async open(section: "Networks" | "Clusters"): Promise<void> {
    await this.page.getByRole("navigation", { name: "Main navigation" }).getByRole("link", { name: section }).click();
    await expect(this.heading(section)).toBeVisible();
  }

  /** A network, from the list. */
  async openNetwork(name: string | RegExp): Promise<void> {
    await this.open("Networks");
    await this.table("Networks").getByRole("link", { name }).first().click();
    await expect(this.tab("Subnets")).toHaveAttribute("aria-selected", "true");
  }

  /** The subnet that holds an address, from the list on its network's page. */
  async openSubnetOf(address: string): Promise<string> {
    const { row, cidr } = await this.subnetOf(address);
    await row.getByRole("link").first().click();
    await expect(this.tab("Information")).toBeVisible();
    return cidr;
  }

  /** The row of the subnet that holds an address, and its CIDR. */
  async subnetOf(address: string): Promise<{ row: Locator; cidr: string }> {
    const rows = this.rows("subnet");
    await expect(rows.first()).toBeVisible();
    for (const row of await rows.all()) {
      const cidr = await row.locator("[data-column=cidr] code").first().innerText();
      if (within(address, cidr)) return { row, cidr };
    }
    throw new Error(`no subnet on this page holds ${address}`);
  }

  /** A tab of the page. */
  tab(name: string): Locator {
    return this.page.getByRole("tab", { name: new RegExp(`^${name}`) });
  }

  /** Goes to a tab. */
  async openTab(name: string): Promise<void> {
    await this.tab(name).click();
    await expect(this.tab(name)).toHaveAttribute("aria-selected", "true");
  }

  /** Unfolds everything that is folded in the table. */
  async unfold(): Promise<void> {
    const folded = this.page.locator("button.fold[aria-expanded=false]");
    while ((await folded.count()) > 0) await folded.first().click();
  }

  /** The page's heading. */
  heading(name: string | RegExp): Locator {
    return this.page.getByRole("heading", { level: 1, name });
  }

  /** A table by its name. */
  table(name: string): Locator {
    return this.page.getByRole("table", { name });
  }

  /** All rows of things of a kind. */
  rows(kind: "network" | "subnet" | "port" | "cluster" | "node"): Locator {
    return this.page.locator(`[data-testid^="${kind}-row-"]`);
  }

  /** The row of the port with an address. */
  portAt(address: string): Locator {
    return this.rows("port").filter({ has: this.page.getByText(address, { exact: true }) });
  }

  /** What a row says of its status. */
  status(row: Locator): Locator {
    return row.getByTestId("cell-status");
  }

  /** The open panel. */
  panel(name: string | RegExp): Locator {
    return this.page.getByRole("dialog", { name });
  }

  /** Waits until nothing on the screen is on its way any more, and it has been painted so. */
  private async settled(): Promise<void> {
    await this.page.evaluate(async () => {
      // Frames are asked for all the while: an animation ends with one, and none comes to a page at rest by itself.
      const frame = () => new Promise((painted) => requestAnimationFrame(painted));
      const ends = ({ playState, effect }: Animation) =>
        playState === "running" && effect?.getComputedTiming().endTime !== Infinity;
      while (document.getAnimations().some(ends)) await frame();
      await frame();
      await frame();
    });
  }

  /** Looks at the screen as it is and as on a telephone, in both themes: keeps the pictures, and holds each to the rules of accessibility. */
  async inspect(name: string): Promise<void> {
    const given = this.page.viewportSize()!;
    await this.look(name, THEMES);
    if (given.width <= PHONE.width) return;
    await this.page.setViewportSize(PHONE);
    // Its colours are those that have been looked at.
    await this.look(`${name}-narrow`, THEMES.slice(0, 1));
    await this.page.setViewportSize(given);
  }

  /** Nothing on the screen needs scrolling sideways. */
  async fits(name: string): Promise<void> {
    const [needed, there] = await this.page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    expect.soft(needed, `${name} scrolls sideways`).toBeLessThanOrEqual(there);
  }

  /** Makes the window so tall that an open panel shows all of itself. */
  private async unrolled(): Promise<void> {
    const { width, height } = this.page.viewportSize()!;
    const hidden = await this.page.evaluate(() => {
      window.scrollTo(0, 0);
      const panel = document.querySelector(".panel__body");
      return panel ? panel.scrollHeight - panel.clientHeight : 0;
    });
    if (hidden > 0) await this.page.setViewportSize({ width, height: height + hidden });
  }

  /** One width: both pictures, and the rules in these themes. */
  private async look(name: string, held: readonly (typeof THEMES)[number][]): Promise<void> {
    const given = this.page.viewportSize()!;
    await this.fits(name);
    await this.unrolled();
    const page = (await this.page.locator(".panel").count()) === 0;
    for (const theme of THEMES) {
      await this.page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
      await this.settled();
      await this.page.screenshot({ path: `screenshots/${name}-${theme}.png`, fullPage: page });
      if (!held.includes(theme)) continue;
      const audit = await new AxeBuilder({ page: this.page })
        .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"])
        .analyze();
      const found = audit.violations.map((one) => ({
        rule: one.id,
        what: one.help,
        where: one.nodes.map((node) => node.target.join(" ")),
      }));
      expect.soft(found, `${name} in ${theme}`).toEqual([]);
    }
    await this.page.emulateMedia({ colorScheme: null, reducedMotion: null });
    await this.page.setViewportSize(given);
  }
}

interface Fixtures {
  /** The console in a fresh browser. */
  app: Console;
  /** The lab; a test that takes it is skipped, with the reason, where there is none. */
  lab: Lab;
  /** Messages of the browser's console that a test expects, such as that of a refused request. */
  expected: RegExp[];
}

export const test = base.extend<Fixtures>({
  baseURL: async ({}, use) => {
    const url = process.env.PORTOLAN_URL;
    if (!url) throw new Error("the global set-up has not run");
    await use(url);
  },

  expected: async ({}, use) => {
    await use([]);
  },

  app: async ({ page, expected }, use) => {
    const said: string[] = [];
    page.on("console", (message) => {
      if (message.type() !== "error" && message.type() !== "warning") return;
      said.push(`${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => said.push(String(error)));
    await use(new Console(page));
    const surprising = said.filter((text) => ![...NOISE, ...expected].some((pattern) => pattern.test(text)));
    expect(surprising, "what the browser's console said").toEqual([]);
  },

  lab: async ({}, use, info) => {
    const lacks = process.env.PORTOLAN_LAB_LACKS;
    info.skip(!!lacks, lacks);
    await use(new Lab(process.env.PORTOLAN_STATE_DIR!));
  },
});
