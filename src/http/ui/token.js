// The form for a token. It is never submitted: the token stays in the page.

import { currentToken, setToken } from "./api.js";
import { h } from "./dom.js";

/** Creates a form that sets the token and calls `onChange`. */
export function tokenForm(onChange) {
  const input = h("input", {
    type: "password", name: "token", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "token-help",
  });
  input.value = currentToken();
  const submit = (event) => {
    event.preventDefault();
    setToken(input.value);
    onChange();
  };
  const clear = () => {
    input.value = "";
    setToken("");
    onChange();
  };
  return h("form", { class: "token-form", onsubmit: submit },
    h("label", {}, "Token", input),
    h("button", { type: "submit", class: "primary", text: "Use this token" }),
    h("button", { type: "button", onclick: clear, text: "Clear token" }),
    h("p", { id: "token-help", class: "muted small", text: "Stored in this tab until it is closed. Create a token with paulina token create." }));
}
