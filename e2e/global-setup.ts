import { rmSync } from "node:fs";
import type { FullConfig } from "@playwright/test";
import { type Given, LABS, start } from "./lab";

/** A lab for each worker, so that none sees what another's tests make; they are told by the environment. */
export default async function globalSetup({ workers }: FullConfig): Promise<() => Promise<void>> {
  rmSync("screenshots", { recursive: true, force: true });
  const labs = [];
  const end = async () => {
    await Promise.all(labs.map((lab) => lab.end()));
  };
  try {
    for (let worker = 0; worker < workers; worker += 1) labs.push(await start());
  } catch (error) {
    await end();
    throw error;
  }
  const given: Given[] = labs.map(({ report, lacks }) => ({ url: report.url, stateDir: report.state_dir, lacks }));
  process.env[LABS] = JSON.stringify(given);
  return end;
}
