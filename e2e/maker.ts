/** A customer who makes things: networks, subnets, ports and clusters, on the screens and by the same as code. */
import { type APIRequestContext, type Locator } from "@playwright/test";
import { Console, expect, test as base } from "./fixtures";
import { People, type Person, type Project } from "./people";
import { run } from "./shell";

/** A customer with a project of their own. */
interface World {
  project: Project;
  customer: Person;
}

/** Tests with such a customer, logged in. */
export const test = base.extend<{ world: World; maker: Maker }>({
  world: async ({ request }, use, info) => {
    const people = await People.make(request);
    const mark = `cc${info.workerIndex}${Date.now().toString(36)}`;
    const project = await people.project(`${mark}-yard`);
    await use({ project, customer: await people.person(`${mark}-dora`, "member", project) });
  },

  maker: async ({ app, world, request }, use) => {
    await app.logIn(world.customer.name, world.customer.password);
    await use(new Maker(app, world, request));
  },
});

/** What a customer does on these screens. */
export class Maker {
  constructor(
    readonly app: Console,
    readonly world: World,
    private readonly request: APIRequestContext,
  ) {}

  /** A token, the customer's if nobody is named, as `openstack token issue` would give. */
  async token(person = this.world.customer, project = this.world.project.name): Promise<string> {
    const domain = { name: "Default" };
    const identity = { methods: ["password"], password: { user: { ...person, domain } } };
    const answer = await this.request.post("/v3/auth/tokens", {
      data: { auth: { identity, scope: { project: { name: project, domain } } } },
    });
    expect(answer.status(), await answer.text()).toBe(201);
    return answer.headers()["x-subject-token"];
  }

  /** Runs a curl command of the console's, and hands over what was made. */
  async run(command: string): Promise<Record<string, any>> {
    const answer = run(command, { OS_TOKEN: await this.token() });
    const made = JSON.parse(answer);
    expect(made.network ?? made.subnet ?? made.port ?? made.item, answer).toBeDefined();
    return made;
  }

  /** What the API answers the customer. */
  async ask(method: "GET" | "POST" | "DELETE", path: string, data?: object): Promise<Record<string, any>> {
    const headers = { "X-Auth-Token": await this.token() };
    const answer = await this.request.fetch(path, { method, headers, data });
    const text = await answer.text();
    expect(answer.ok(), `${method} ${path}: ${text}`).toBe(true);
    return text ? JSON.parse(text) : {};
  }

  /** A network with a subnet, by the API. */
  async network(name: string, internet: boolean, cidr?: string): Promise<string> {
    const { network } = await this.ask("POST", "/v2.0/networks", { network: { name, internet_access: internet } });
    if (cidr) {
      const subnet = { network_id: network.id, name: `${name}-a`, cidr, ip_version: cidr.includes(":") ? 6 : 4 };
      await this.ask("POST", "/v2.0/subnets", { subnet });
    }
    return network.id;
  }

  /** Asks for shadowport, by the API; the request's id. */
  async askShadowport(): Promise<string> {
    const asked = { purpose: "Machines without a way in from outside.", nodes: 3 };
    const made = await this.ask("POST", `/portolan/v1/projects/${this.world.project.id}/shadowport`, asked);
    return made.item.id;
  }

  /** Grants what was asked for, by the API. */
  async grantShadowport(id: string): Promise<void> {
    const headers = { "X-Auth-Token": await this.token({ name: "admin", password: "admin-portolan" }, "admin") };
    const granted = await this.request.post(`/portolan/v1/support/requests/${id}/grant`, { headers, data: {} });
    expect(granted.ok(), await granted.text()).toBe(true);
  }

  /** Opens *Create cluster* from the list. */
  async start(name: string): Promise<void> {
    const { app } = this;
    await app.open("Clusters");
    await app.page.getByRole("button", { name: "Create cluster" }).first().click();
    await expect(app.heading("Create cluster")).toBeVisible();
    await expect(this.field("Pod addresses")).not.toHaveValue("");
    await this.field("Name").fill(name);
  }

  /** A field of the page. */
  field(name: string): Locator {
    return this.app.page.getByRole("main").getByLabel(name, { exact: true });
  }

  /** A line of what will be made. */
  preview(): Locator {
    return this.app.page.getByTestId("preview");
  }

  /** Chooses a tool, and where its code is shown. */
  private async shown(tool: string): Promise<Locator> {
    const { page } = this.app;
    const shown = page.getByTestId("code");
    if (!(await shown.isVisible())) await page.getByText("Show as code").click();
    const button = page.getByRole("button", { name: tool, exact: true });
    await button.click();
    await expect(button).toHaveAttribute("aria-pressed", "true");
    return shown;
  }

  /** The code that is shown, for a tool. */
  async code(tool: string): Promise<string> {
    // As it is written, not as the screen wraps it.
    return (await (await this.shown(tool)).textContent())!;
  }

  /** The code for a tool as its button copies it, once it speaks of `mark`. */
  async copied(tool: string, mark: string): Promise<string> {
    const { page } = this.app;
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const shown = await this.shown(tool);
    await expect(shown).toContainText(mark);
    await page.getByRole("button", { name: "Copy the code" }).click();
    const text = (await shown.textContent())!;
    await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe(text);
    return text;
  }

  /** Sends the form and arrives at the cluster. */
  async create(name: string): Promise<void> {
    await this.app.page.getByRole("button", { name: "Create cluster" }).click();
    await expect(this.app.heading(name)).toBeVisible();
  }

  /** Presses *Delete*, and what the dialog is. */
  async doom(name: string): Promise<Locator> {
    await this.app.page.getByRole("button", { name: "Delete", exact: true }).click();
    const dialog = this.app.panel(`Delete ${name}?`);
    await expect(dialog.locator(".plan").first()).toBeVisible();
    return dialog;
  }
}
