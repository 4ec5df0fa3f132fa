// The list of changes, newest first.

import { h, moment } from "./dom.js";
import { serverAddress } from "./list.js";

const SHOWN = 200;

export class Changes {
  #list;
  #items = new Map();

  constructor(list) {
    this.#list = list;
  }

  /** Shows the latest of these; `isHere` returns whether a server is registered, so that its name is a link. */
  show(changes, isHere) {
    const shown = changes.slice(0, SHOWN);
    const wanted = new Set(shown.map(({ revision }) => revision));
    for (const [revision, item] of this.#items) {
      if (wanted.has(revision)) continue;
      item.remove();
      this.#items.delete(revision);
    }
    let next = this.#list.firstElementChild;
    for (const change of shown) {
      let item = this.#items.get(change.revision);
      if (!item) {
        item = changeItem(change, isHere(change.id));
        this.#items.set(change.revision, item);
      }
      if (item === next) next = next.nextElementSibling;
      else this.#list.insertBefore(item, next);
    }
  }

  /** Updates the links of servers that were registered or deregistered. */
  relink(touched, isHere) {
    for (const item of this.#list.children) {
      if (touched.has(item.dataset.id)) item.querySelector(".who").replaceChildren(who(item.dataset, isHere(item.dataset.id)));
    }
  }
}

const who = ({ id, name }, isHere) => (isHere ? h("a", { href: serverAddress(id), text: name }) : h("span", { text: name }));

export function changeItem(change, isHere) {
  const item = h("li", { class: `change ${change.kind}` },
    moment(change.at),
    h("span", { class: "what" }, h("span", { class: "kind", text: change.kind }), " ",
      h("span", { class: "who" }, who(change, isHere)), " ",
      h("span", { class: "mono muted ident", text: change.id })));
  Object.assign(item.dataset, { id: change.id, name: change.name });
  return item;
}
