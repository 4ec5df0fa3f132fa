// The form that asks for a token. It is never submitted: the token stays in the page.

import { currentToken, setToken } from "./api.js";
import { h } from "./dom.js";

/** A form that sets the token and calls `changed`. `label` is the word on its button. */
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
    h("button", { type: "button", onclick: forget, text: "Forget it" }),
    h("p", { id: "token-help", class: "muted small", text: "Kept in this tab until it is closed. paulina token create makes one." }));
}
