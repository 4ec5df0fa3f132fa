// A request, as the form has it: what the page sends, and the curl command that sends the same.

import { currentToken } from "./api.js";
import { shell } from "./dom.js";

/** `parameters` are `{name, in, values}`; the address comes out relative. */
export function request(method, path, parameters, body) {
  const query = new URLSearchParams();
  const headers = {};
  let address = path.replace(/^\//, "");
  for (const { name, in: place, values } of parameters) {
    for (const value of values) {
      if (place === "path") address = address.replace(`{${name}}`, encodeURIComponent(value));
      else if (place === "query") query.append(name, value);
      else if (place === "header") headers[name.toLowerCase()] = value;
    }
  }
  if (query.size) address += `?${query}`;
  if (body !== null) headers["content-type"] = "application/json";
  return { method: method.toUpperCase(), address, headers, body };
}

/** The command. The token is not in it, so that it ends up in no history: curl's shell fills it in. */
export function curl({ method, address, headers, body }, isStream) {
  const words = ["curl", isStream ? "-iN" : "-i"];
  if (method !== "GET") words.push("-X", method);
  words.push(shell(new URL(address, document.baseURI).href));
  const lines = [words.join(" ")];
  if (currentToken()) lines.push(`-H "authorization: Bearer $PAULINA_TOKEN"`);
  for (const [name, value] of Object.entries(headers)) lines.push(`-H ${shell(`${name}: ${value}`)}`);
  if (body !== null) lines.push(`--data-binary ${shell(body)}`);
  return lines.join(" \\\n  ");
}
