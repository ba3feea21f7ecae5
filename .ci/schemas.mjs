// Compiles every schema of a folder as ajv does in its strict mode, and validates the examples in it.
//
// schemas.mjs MODULES FOLDER
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [modules, folder] = process.argv.slice(2);
const load = createRequire(`${resolve(modules)}/`);
const Ajv = load("ajv/dist/2020").default;
const formats = load("ajv-formats").default;
const wrong = (message) => {
  throw new Error(message);
};

for (const file of readdirSync(folder)) {
  const schema = JSON.parse(readFileSync(`${folder}/${file}`, "utf8"));
  // A warning is an error here.
  const ajv = new Ajv({ strict: true, allErrors: true, logger: { log: wrong, warn: wrong, error: wrong } });
  formats(ajv);
  // The one word that no standard has; editors know it.
  ajv.addKeyword("markdownDescription");
  const validate = ajv.compile(schema);
  for (const example of schema.examples ?? []) {
    if (!validate(example)) wrong(`${file}: ${ajv.errorsText(validate.errors)}`);
  }
  console.log(`${file}: strict, ${(schema.examples ?? []).length} examples`);
}
