// Asks alexa-verifier, with certificate chains from a directory, of each request on standard input whether it is Alexa's.
import { readFileSync } from "node:fs";
import https from "node:https";
import { basename } from "node:path";
import { PassThrough } from "node:stream";
import { syncBuiltinESMExports } from "node:module";

const directory = process.argv[2];

https.get = (url, answered) => {
  const answer = Object.assign(new PassThrough(), { statusCode: 200 });
  answered(answer);
  try {
    answer.end(readFileSync(`${directory}/${basename(new URL(url).pathname)}`));
  } catch {
    answer.end("");
  }
  return answer;
};
syncBuiltinESMExports();

const { default: verify } = await import("alexa-verifier");
const takes = ([url, signature, body]) => verify(url, signature, body).then(() => true, () => false);
const verdicts = [];
for (const request of JSON.parse(readFileSync(0, "utf8"))) verdicts.push(await takes(request).catch(() => false));
console.log(JSON.stringify(verdicts));
