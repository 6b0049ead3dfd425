// What AsyncAPI's own parser has to say about the documents named, as a JSON list; it reads Avro too.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [packages, ...documents] = process.argv.slice(2);
const { Parser } = createRequire(packages)("@asyncapi/parser");
const { AvroSchemaParser } = createRequire(packages)("@asyncapi/avro-schema-parser");

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
const found = [];
for (const name of documents) {
  for (const { code, message, path, severity } of await parser.validate(readFileSync(name, "utf8"))) {
    found.push({ name, code, message, path: path.join("."), severity });
  }
}
console.log(JSON.stringify(found));
