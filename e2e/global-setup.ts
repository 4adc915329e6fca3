import { rmSync } from "node:fs";
import { start } from "./lab";

/** One lab for all tests; what they need to know of it goes through the environment. */
export default async function globalSetup(): Promise<() => Promise<void>> {
  rmSync("screenshots", { recursive: true, force: true });
  const lab = await start();
  process.env.PORTOLAN_URL = lab.report.url;
  process.env.PORTOLAN_STATE_DIR = lab.report.state_dir;
  process.env.PORTOLAN_LAB_LACKS = lab.lacks ?? "";
  return lab.end;
}
