/** Commands that the console shows, run by a real shell as a reader would paste them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Writes down what it was called with, each word ended by a NUL. */
const WITNESS = '#!/bin/sh\nprintf \'%s\\0\' "$@" > "$WITNESS"\n';

/** The words that `program` gets when a shell runs `text`; nothing else is run. */
export function wordsFor(program: string, text: string, env: Record<string, string> = {}): string[] {
  const folder = mkdtempSync(join(tmpdir(), "portolan-shell-"));
  try {
    const witness = join(folder, "words");
    writeFileSync(join(folder, program), WITNESS, { mode: 0o700 });
    const path = `${folder}:${process.env.PATH}`;
    execFileSync("sh", ["-c", text], { env: { ...env, PATH: path, WITNESS: witness } });
    return readFileSync(witness, "utf8").split("\0").slice(0, -1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A request as a curl command says it. */
export interface Said {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** What a curl command of the console's would send, with this token in the reader's environment. */
export function curl(text: string, token: string): Said {
  const said: Said = { method: "GET", url: "", headers: {}, body: "" };
  const words = wordsFor("curl", text, { OS_TOKEN: token });
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at];
    if (word === "-X") said.method = words[(at += 1)];
    else if (word === "-d") said.body = words[(at += 1)];
    else if (word === "-H") {
      const [name, value] = words[(at += 1)].split(": ");
      said.headers[name] = value;
    } else if (!word.startsWith("-")) said.url = word;
  }
  return said;
}
