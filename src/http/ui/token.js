// The form for a token. It is never submitted: the token stays in the page.

import { currentToken, setToken } from "./api.js";
import { h } from "./dom.js";

/** A form that sets the token and calls `changed`. `label` is the text of its button. */
export function tokenForm(changed, label = "Use this token") {
  const input = h("input", {
    type: "password", name: "token", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "token-help",
  });
  input.value = currentToken();
  const submit = (event) => {
    event.preventDefault();
    setToken(input.value);
    changed();
  };
  const forget = () => {
    input.value = "";
    setToken("");
    changed();
  };
  return h("form", { class: "token-form", onsubmit: submit },
    h("label", {}, "Token", input),
    h("button", { type: "submit", class: "primary", text: label }),
    h("button", { type: "button", onclick: forget, text: "Clear token" }),
    h("p", { id: "token-help", class: "muted small", text: "Stored in this tab until it is closed. Create a token with paulina token create." }));
}
