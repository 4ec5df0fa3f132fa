// JSON Schema for people. What is nested is folded, and made when it is unfolded, one level at a time: so a schema that
// refers to itself ends where the reader does.

import { fill, fold, h } from "./dom.js";

const LIMITS = {
  minLength: "min length", maxLength: "max length", minimum: "min", maximum: "max", minItems: "min items",
  maxItems: "max items", maxProperties: "max properties", pattern: "pattern", default: "default", const: "always",
};

/** Descriptions: `code` between backticks, paragraphs between empty lines. */
export function prose(text) {
  return text.split(/\n\s*\n/).map((paragraph) =>
    h("p", { class: "text" }, paragraph.split("`").map((part, index) => (index % 2 ? h("code", { text: part }) : part.replaceAll("\n", " ")))));
}

export class Schemas {
  constructor(document) {
    this.document = document;
  }

  /** Follows `$ref`; what stands beside it, like a description of its own, is kept. */
  resolve(schema) {
    const seen = new Set();
    let result = schema ?? {};
    while (typeof result.$ref === "string" && !seen.has(result.$ref)) {
      seen.add(result.$ref);
      const { $ref, ...beside } = result;
      const target = $ref.replace(/^#\//, "").split("/").reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], this.document);
      result = { title: $ref.split("/").at(-1), ...target, ...beside };
    }
    return result;
  }

  /** Its type in a few words: `array of string or null`. */
  type(schema, depth = 0) {
    const own = this.resolve(schema);
    if (own.enum) return "one of";
    const choices = own.oneOf ?? own.anyOf;
    if (!own.type && choices && depth < 3) return [...new Set(choices.map((choice) => this.type(choice, depth + 1)))].join(" or ");
    const types = [own.type ?? (own.properties ? "object" : "anything")].flat();
    return types.map((type) => (type === "array" && own.items && depth < 3 ? `array of ${this.type(own.items, depth + 1)}` : type)).join(" or ")
      + (own.format ? ` (${own.format})` : "");
  }

  /** A value as an example, if the schema gives one. */
  example(schema) {
    const own = this.resolve(schema);
    if (own.example !== undefined) return own.example;
    if (own.examples?.length) return own.examples[0];
    if (own.properties) {
      const parts = Object.entries(own.properties).map(([name, one]) => [name, this.resolve(one).example]);
      const given = parts.filter(([, value]) => value !== undefined);
      if (given.length) return Object.fromEntries(given);
    }
    return undefined;
  }

  /** Type, limits, description, and what is inside. */
  view(schema) {
    const own = this.resolve(schema);
    return [this.line(own), own.description ? prose(own.description) : null, this.inside(own)];
  }

  line(own) {
    const line = h("p", { class: "type" }, h("span", { text: this.type(own) }));
    if (own.enum) line.append(" ", ...own.enum.flatMap((value) => [h("code", { text: String(value) }), " "]));
    for (const [key, name] of Object.entries(LIMITS)) {
      if (own[key] !== undefined) line.append(h("span", { class: "limit" }, `${name} `, h("code", { text: String(own[key]) })));
    }
    if (own.example !== undefined && typeof own.example !== "object") line.append(h("span", { class: "limit" }, "for example ", h("code", { text: String(own.example) })));
    return line;
  }

  inside(own) {
    const parts = [];
    const properties = Object.entries(own.properties ?? {});
    if (properties.length) {
      parts.push(h("ul", { class: "members" }, properties.map(([name, schema]) =>
        h("li", {}, this.member(name, schema, own.required?.includes(name))))));
    }
    if (own.additionalProperties && typeof own.additionalProperties === "object") parts.push(this.nested("Any other member", own.additionalProperties));
    if (own.prefixItems) own.prefixItems.forEach((item, index) => parts.push(this.nested(`Item ${index + 1}`, item)));
    if (own.items && this.hasInside(own.items)) parts.push(this.nested("Each item", own.items));
    for (const [key, word] of [["oneOf", "One of these"], ["anyOf", "Any of these"], ["allOf", "All of these"]]) {
      const choices = own[key]?.filter((choice) => this.resolve(choice).type !== "null");
      if (choices?.length) parts.push(h("p", { class: "type", text: word }), ...choices.map((choice, index) => this.nested(this.resolve(choice).title ?? `Form ${index + 1}`, choice)));
    }
    return parts;
  }

  member(name, schema, isRequired) {
    const own = this.resolve(schema);
    const head = h("p", { class: "member" }, h("code", { class: "definition", text: name }), isRequired ? h("span", { class: "required", text: " required" }) : null);
    const body = h("div", {}, this.line(own), own.description ? prose(own.description) : null);
    if (this.hasInside(own)) body.append(fold(`Inside ${name}`, () => this.inside(own)));
    return [head, body];
  }

  nested(title, schema) {
    const own = this.resolve(schema);
    if (!this.hasInside(own)) {
      const body = h("div", { class: "nested" });
      fill(body, h("p", { class: "member", text: title }), this.line(own), own.description ? prose(own.description) : null);
      return body;
    }
    return fold(title, () => this.view(own), { class: "nested" });
  }

  hasInside(schema) {
    const own = this.resolve(schema);
    const choices = [...(own.oneOf ?? []), ...(own.anyOf ?? []), ...(own.allOf ?? [])];
    return Boolean(own.properties || own.prefixItems || choices.length || typeof own.additionalProperties === "object"
      || (own.items && this.hasInside(own.items)));
  }
}
