// The list of changes, newest first.

import { h, timeElement } from "./dom.js";
import { serverHref } from "./list.js";

const DISPLAY_LIMIT = 200;

export class ChangeList {
  #list;
  #items = new Map();

  constructor(list) {
    this.#list = list;
  }

  /** Shows the latest changes; the name of a server for which `isRegistered` returns true is a link. */
  show(changes, isRegistered) {
    const shown = changes.slice(0, DISPLAY_LIMIT);
    const revisions = new Set(shown.map(({ revision }) => revision));
    for (const [revision, item] of this.#items) {
      if (revisions.has(revision)) continue;
      item.remove();
      this.#items.delete(revision);
    }
    let next = this.#list.firstElementChild;
    for (const change of shown) {
      let item = this.#items.get(change.revision);
      if (!item) {
        item = changeItem(change, isRegistered(change.id));
        this.#items.set(change.revision, item);
      }
      if (item === next) next = next.nextElementSibling;
      else this.#list.insertBefore(item, next);
    }
  }

  /** Updates the links of servers that were registered or deregistered. */
  updateLinks(changedIds, isRegistered) {
    for (const item of this.#list.children) {
      if (changedIds.has(item.dataset.id)) item.querySelector(".who").replaceChildren(serverName(item.dataset, isRegistered(item.dataset.id)));
    }
  }
}

const serverName = ({ id, name }, isRegistered) => (isRegistered ? h("a", { href: serverHref(id), text: name }) : h("span", { text: name }));

export function changeItem(change, isRegistered) {
  const item = h("li", { class: `change ${change.kind}` },
    timeElement(change.at),
    h("span", { class: "what" }, h("span", { class: "kind", text: change.kind }), " ",
      h("span", { class: "who" }, serverName(change, isRegistered)), " ",
      h("span", { class: "mono muted ident", text: change.id })));
  Object.assign(item.dataset, { id: change.id, name: change.name });
  return item;
}
