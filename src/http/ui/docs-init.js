// Shows the OpenAPI document in Swagger UI (vendor/swagger-ui-bundle.js). This file adapts it: to the content security policy, a
// path prefix, the token of the dashboard, endless streams, and screen readers.

import { currentToken, open, setToken } from "./api.js";

const SCHEME = "token";
const STREAM_MS = 3000;

// Swagger UI inserts the Markdown of descriptions as HTML that DOMPurify has sanitized. Only HTML with these tags is inserted;
// everything else becomes text. There is no policy that creates scripts.
const ALLOWED_HTML = /^(?:[^<]|<\/?(?:p|br|code|pre|em|strong|ul|ol|li|blockquote|h[1-6]|table|thead|tbody|tr|th|td)>|<a (?:(?:href="(?:https?:\/\/|#)[^"<>]*"|title="[^"<>]*"|target="_blank"|rel="noopener noreferrer") ?)+>|<\/a>)*$/;
globalThis.trustedTypes?.createPolicy("default", {
  createHTML: (html) => (ALLOWED_HTML.test(html) ? html : html.replaceAll("<", "&lt;")),
});

/** Adapts the document to Swagger UI, and its paths to this page, which a proxy may serve under a prefix. */
function adapt(document_) {
  document_.servers = [{ url: new URL(".", document.baseURI).href.replace(/\/$/, "") }];
  // Swagger UI links an identifier to spdx.org, which has no page for an expression.
  delete document_.info.license?.identifier;
  for (const item of Object.values(document_.paths)) {
    for (const operation of Object.values(item)) {
      // Swagger UI shows an operation with an optional token as locked, even without a token.
      operation.security = operation.security?.filter((requirement) => SCHEME in requirement);
      for (const parameter of operation.parameters ?? []) {
        // Swagger UI fills in and sends examples. All filters at once find nothing.
        if (parameter.required || parameter.example === undefined) continue;
        parameter.description = `${parameter.description ?? ""}\n\nFor example \`${parameter.example}\``;
        delete parameter.example;
      }
    }
  }
  return document_;
}

/** Does the same as `fetch`, but ends event streams early: Swagger UI shows a response only when it has ended. */
async function fetchWithStreamLimit(address, options) {
  const response = await fetch(address, options);
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) return response;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const timer = setTimeout(() => reader.cancel().catch(() => {}), STREAM_MS);
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
  clearTimeout(timer);
  const { status, statusText, headers } = response;
  return new Response(`${text}: closed by this page after ${STREAM_MS / 1000} s\n`, { status, statusText, headers });
}

function paulina({ React, fn, getComponent }) {
  const h = React.createElement;

  /** The curl command. It names a variable instead of the token, so that the token does not get into a shell history. */
  function Curl({ request }) {
    const hasToken = request.hasIn(["headers", "Authorization"]);
    const shown = hasToken ? request.setIn(["headers", "Authorization"], "Bearer $PAULINA_TOKEN") : request;
    const command = fn.requestSnippetGenerator_curl_bash(shown)
      .replace("'Authorization: Bearer $PAULINA_TOKEN'", '"Authorization: Bearer $PAULINA_TOKEN"');
    return h("div", { className: "curl-command" }, h("h4", {}, "Curl"),
      h(getComponent("HighlightCode", true), { language: "bash", className: "curl", canCopy: true }, command));
  }

  return {
    components: {
      curl: Curl,
      // The only server is the one that serves this page.
      ServersContainer: () => null,
      // A link inside a button is not valid HTML. The URL follows the open operation anyway.
      DeepLink: ({ text }) => h("span", {}, text),
    },
    wrapComponents: {
      InfoContainer: (Original) => (props) => h("section", { "aria-label": "About" }, h(Original, props)),
      operations: (Original) => (props) => h(React.Fragment, {}, h("h2", { className: "visually-hidden" }, "Operations"), h(Original, props)),
      SyntaxHighlighter: (Original) => (props) => h("div", { className: "code", role: "group", "aria-label": "Text", tabIndex: 0 }, h(Original, props)),
    },
    // The token is shared with the dashboard, and kept only until this tab is closed.
    statePlugins: {
      auth: {
        wrapActions: {
          authorize: (original) => (payload) => {
            if (payload[SCHEME]) setToken(payload[SCHEME].value ?? "");
            return original(payload);
          },
          logout: (original) => (names) => {
            if (names.includes(SCHEME)) setToken("");
            return original(names);
          },
        },
      },
    },
  };
}

/** Adds names and roles that Swagger UI omits, for screen readers. */
function addAccessibleNames(root) {
  const each = (selector, change) => {
    for (const element of root.querySelectorAll(selector)) change(element);
  };
  const set = (selector, attributes) => each(selector, (element) => {
    for (const [name, value] of Object.entries(attributes)) if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  });
  each(":is(select, textarea, input):not([aria-label], [id])", (control) => {
    const parameter = control.closest("[data-param-name]")?.dataset.paramName;
    control.setAttribute("aria-label", parameter ?? (control.matches(".examples-select-element") ? "Example" : control.matches("textarea") ? "Body" : "Value"));
  });
  each("table[role=region]", (table) => table.removeAttribute("role"));
  each(".auth-btn-wrapper button[aria-label]", (button) => button.removeAttribute("aria-label"));
  set(".scheme-container", { role: "region", "aria-label": "Token" });
  set(".modal-ux", { role: "dialog", "aria-modal": "true", "aria-label": "Token" });
  set(".close-modal", { "aria-label": "Close" });
  set(".modal-ux h3", { "aria-level": "2" });
  set(".modal-ux h4", { "aria-level": "3" });
  set(".modal-ux h6", { "aria-level": "4" });
  set(".auth-container input", { type: "password", autocomplete: "off", spellcheck: "false" });
  // Its label names it better.
  each(".auth-container input[aria-label]", (input) => input.removeAttribute("aria-label"));
}

/** Keeps the focus in the token dialog. */
function wrapFocus(event) {
  const controls = [...event.currentTarget.querySelectorAll(".modal-ux :is(input, button)")];
  if (event.key !== "Tab" || controls.length === 0) return;
  const [leaving, next] = event.shiftKey ? [controls[0], controls.at(-1)] : [controls.at(-1), controls[0]];
  if (document.activeElement !== leaving && controls.includes(document.activeElement)) return;
  event.preventDefault();
  next.focus();
}

function notice(text, retry) {
  const line = Object.assign(document.createElement("p"), { className: "notice error", textContent: text });
  line.setAttribute("role", "alert");
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Try again" });
  button.addEventListener("click", retry);
  line.append(" ", button);
  document.getElementById("viewer").firstChild.replaceChildren(line);
}

async function show() {
  const root = document.getElementById("viewer");
  const waiting = Object.assign(document.createElement("main"), { className: "notice muted", textContent: "Loading the API document…" });
  root.replaceChildren(waiting);
  let spec;
  try {
    spec = adapt(await (await open("openapi.json")).json());
  } catch (error) {
    notice(`The registry does not respond: ${error.message}`, show);
    return;
  }
  let isDialogOpen = false;
  new MutationObserver(() => {
    addAccessibleNames(root);
    const wasDialogOpen = isDialogOpen;
    isDialogOpen = root.querySelector(".modal-ux") !== null;
    // When the token dialog closes, the focus returns to the button that opened it.
    if (wasDialogOpen && !isDialogOpen && document.activeElement === document.body) root.querySelector(".scheme-container .authorize")?.focus();
  }).observe(root, { childList: true, subtree: true });
  root.addEventListener("keydown", wrapFocus);
  const ui = SwaggerUIBundle({
    spec,
    domNode: root,
    plugins: [paulina],
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    persistAuthorization: false,
    syntaxHighlight: { activated: true, theme: "tomorrow-night" },
    validatorUrl: null,
    requestInterceptor: (request) => Object.assign(request, { userFetch: fetchWithStreamLimit }),
    onComplete: () => {
      if (currentToken()) ui.preauthorizeApiKey(SCHEME, currentToken());
    },
  });
}

// Not by the fragment: the fragment names the open operation.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});

const dark = matchMedia("(prefers-color-scheme: dark)");
const setColorScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", setColorScheme);
setColorScheme();
show();
